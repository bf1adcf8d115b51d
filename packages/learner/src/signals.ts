/** Signals: checked before the forward pass, evaluated after it. */
import { type AvailableSignals, SignalError, type SignalName } from '@ghl/core';
import * as tf from '@tensorflow/tfjs-core';
import { isPlasticity, type PlannedWeight } from './assignment.js';

/** A signal as a custom loop hands it in: a number, a tensor ([] or [batch]), or a function called after the forward pass. */
export type SignalInput = number | tf.Tensor | (() => number | tf.Tensor);

/** The signals of one step by name; the gradient is the step's own. */
export type SignalInputs = { readonly [Name in Exclude<SignalName, 'gradient'>]?: SignalInput };

/**
 * Refuses a step whose signals are not all at hand.
 *
 * @throws SignalError `SIGNAL_MISSING`.
 */
export function checkProvided(moving: ReadonlySet<PlannedWeight>, signals: SignalInputs): void {
  for (const { mover, path } of moving) {
    const missing = isPlasticity(mover)
      ? mover.reads.find((name) => name !== 'gradient' && name !== 'loss' && signals[name] === undefined)
      : undefined;
    if (missing === undefined) continue;
    const given = Object.keys(signals);
    throw new SignalError(
      'SIGNAL_MISSING',
      `The plasticity of ${path} reads '${missing}', which nobody provides${given.length > 0 ? ` (given: ${given.join(', ')})` : ''}.`,
      {
        help: `hand it in, in a loop of your own: optimizer.minimize(f, { signals: { ${missing} } }); fit() has only gradient and loss.`,
      },
    );
  }
}

/**
 * The signals as tensors, functions called.
 *
 * @param batch Examples of the step, if any layer was recorded.
 * @throws SignalError `SIGNAL_SHAPE`.
 */
export function evaluate(inputs: SignalInputs, batch: number | undefined): AvailableSignals {
  const evaluated = Object.entries(inputs).flatMap(([name, input]) => {
    if (input === undefined) return [];
    const value = typeof input === 'function' ? (input as () => number | tf.Tensor)() : (input as number | tf.Tensor);
    const tensor = typeof value === 'number' ? tf.scalar(value) : value;
    if (!(tensor instanceof tf.Tensor)) throw wrongShape(name, `the value ${String(tensor)}`, batch);
    if (!fits(name, tensor, batch)) throw wrongShape(name, `shape [${tensor.shape}]`, batch);
    return [[name, tensor] as const];
  });
  return Object.fromEntries(evaluated);
}

/** A loss is one number, a reward one or one per example; the shape of any other signal is its reader's business. */
function fits(name: string, { rank, size }: tf.Tensor, batch: number | undefined): boolean {
  if (name === 'loss') return rank === 0;
  if (name !== 'reward' || rank === 0) return true;
  return rank === 1 && (batch === undefined || size === batch);
}

function wrongShape(name: string, found: string, batch: number | undefined): SignalError {
  return new SignalError(
    'SIGNAL_SHAPE',
    `Signal '${name}' has ${found}${batch === undefined ? '' : ` in a batch of ${batch}`}.`,
    {
      help: 'give one number, a tensor of one number or of one number per example, or a function that returns it.',
    },
  );
}
