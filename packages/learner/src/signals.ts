/** Signals: checked before the forward pass, evaluated after it. */
import { SignalError, type SignalName } from '@ghl/core';
import { type AvailableSignals, examplesOf, type LayerUse } from '@ghl/core/engine';
import * as tf from '@tensorflow/tfjs-core';
import { isPlasticity, type PlannedWeight } from './assignment.js';

/**
 * A signal as a custom loop hands it in: a number, a tensor ([] or [batch]), or a function called after the forward
 * pass.
 */
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
      `hand it in, in a loop of your own: optimizer.minimize(f, { signals: { ${missing} } }); fit() has only gradient and loss.`,
    );
  }
}

/**
 * The signals as tensors, functions called. What is no float is cast where the signal is ours: a reward may be a
 * comparison.
 *
 * @param calls Those of the first layer that was recorded, none if none was.
 * @throws SignalError `SIGNAL_SHAPE`, `SIGNAL_DTYPE`, `SIGNAL_NOT_FINITE` for a number; a tensor is not read, and what
 * is not finite in it is found on the device.
 */
export function evaluate(inputs: SignalInputs, calls: readonly LayerUse[]): AvailableSignals {
  const evaluated = Object.entries(inputs).flatMap(([name, input]) => {
    if (input === undefined) return [];
    const value = typeof input === 'function' ? (input as () => unknown)() : input;
    return [[name, tensorOf(name, value, calls)] as const];
  });
  return Object.fromEntries(evaluated);
}

function tensorOf(name: string, value: unknown, calls: readonly LayerUse[]): tf.Tensor {
  if (typeof value === 'number') {
    if (Number.isFinite(value)) return tf.scalar(value);
    throw new SignalError('SIGNAL_NOT_FINITE', `Signal '${name}' is ${value}.`, 'give a finite number.');
  }
  if (!isTensor(value)) throw wrongShape(name, `the value ${String(value)}`, calls);
  if (value.isDisposed) throw wrongShape(name, 'a tensor that has been disposed of', calls);
  if (!fits(name, value, calls)) throw wrongShape(name, `shape [${value.shape}]`, calls);
  if (name !== 'loss' && name !== 'reward') return value;
  if (['float32', 'int32', 'bool'].includes(value.dtype)) return tf.cast(value, 'float32');
  throw new SignalError(
    'SIGNAL_DTYPE',
    `Signal '${name}' is a tensor of ${value.dtype}.`,
    'give a tensor of float32, int32 or bool.',
  );
}

/** tfjs's instanceof reads a property, so it cannot be asked of null. */
const isTensor = (value: unknown): value is tf.Tensor => value != null && value instanceof tf.Tensor;

/** A loss is one number, a reward one or one per example; the shape of any other signal is its reader's business. */
function fits(name: string, { rank, size }: tf.Tensor, calls: readonly LayerUse[]): boolean {
  if (name === 'loss') return rank === 0;
  if (name !== 'reward' || rank === 0) return true;
  if (rank !== 1) return false;
  return calls.length === 0 || size === calls[0]?.post.shape[0] || examplesOf(calls, size) !== null;
}

function wrongShape(name: string, found: string, calls: readonly LayerUse[]): SignalError {
  const batches = calls.map(({ post }) => post.shape[0]).join(' + ');
  return new SignalError(
    'SIGNAL_SHAPE',
    `Signal '${name}' has ${found}${batches === '' ? '' : ` in a batch of ${batches}`}.`,
    'give one number, a tensor of one number or of one number per example, or a function that returns it.',
  );
}
