/** The signals of a step: checked before the forward pass, evaluated after it. */
import { type Plasticity, SignalError, type SignalName } from '@ghl/core';
import { type AvailableSignals, examplesOf, type LayerUse } from '@ghl/core/engine';
import * as tf from '@tensorflow/tfjs-core';
import { type Assignment, isPlasticity, type PlannedWeight } from './assignment.js';
import type { TrainingBatch } from './tfjs/training-batch.js';

/**
 * A signal that `minimize` accepts: a number, a tensor, or a function called after the forward pass. A reward has the
 * shape [] or [batch], `input` and `target` have [batch, …].
 */
export type SignalInput = number | tf.Tensor | (() => number | tf.Tensor);

/** The signals of one step by name. The step computes the gradient itself. */
export type SignalInputs = { readonly [Name in Exclude<SignalName, 'gradient'>]?: SignalInput };

/** The names of the signals that the plasticities of an assignment read. */
export type SignalsOf<A extends Assignment> = { [Selector in keyof A]: ReadsOf<A[Selector]> }[keyof A];

type ReadsOf<U> = U extends Plasticity<infer R> ? R : never;

/** The signals of `R` that the caller of `minimize` must provide. None if `R` is not known statically. */
export type RequiredSignal<R extends SignalName> = SignalName extends R ? never : Exclude<R, 'gradient' | 'loss'>;

/**
 * Rejects a step without a signal that an updater reads.
 *
 * @throws SignalError `SIGNAL_MISSING`.
 */
export function checkProvided(moving: ReadonlySet<PlannedWeight>, signals: SignalInputs): void {
  for (const { updater, path } of moving) {
    const missing = isPlasticity(updater)
      ? updater.reads.find((name) => name !== 'gradient' && name !== 'loss' && signals[name] === undefined)
      : undefined;
    if (missing === undefined) continue;
    const names = Object.keys(signals);
    throw new SignalError(
      'SIGNAL_MISSING',
      `The plasticity of ${path} reads '${missing}', which is missing${names.length > 0 ? ` (given: ${names.join(', ')})` : ''}.`,
      `pass it to minimize(f, { signals: { ${missing} } }). fit() provides only gradient and loss, and input and target of a model with one of each.`,
    );
  }
}

/**
 * The signals of a step: those of the caller, and the input and labels of `fit` if a moving weight reads them. Leaves
 * out an input and labels that nothing reads, so that they are neither evaluated nor kept.
 *
 * @param batch The batch that a method of tfjs trains on; undefined in a custom loop.
 */
export function signalsOf(
  moving: ReadonlySet<PlannedWeight>,
  ofCaller: SignalInputs,
  batch: TrainingBatch | undefined,
): SignalInputs {
  const reads = new Set([...moving].flatMap(({ updater }) => (isPlasticity(updater) ? updater.reads : [])));
  const only = (tensors: readonly tf.Tensor[] = []) => (tensors.length === 1 ? tensors[0] : undefined);
  const { input = only(batch?.inputs), target = only(batch?.targets), ...others } = ofCaller;
  return {
    ...others,
    ...(reads.has('input') && input !== undefined && { input }),
    ...(reads.has('target') && target !== undefined && { target }),
  };
}

/**
 * Evaluates the signals as tensors, and calls those that are functions. Casts signals of this library to float32, since
 * a reward may be the result of a comparison.
 *
 * @param calls The calls of the first recorded layer; empty if there is none.
 * @throws SignalError `SIGNAL_SHAPE`, `SIGNAL_DTYPE`, `SIGNAL_NOT_FINITE` for a number. Tensors are not read here: a
 * flag on the device reports values that are not finite.
 */
export function evaluate(inputs: SignalInputs, calls: readonly LayerUse[]): AvailableSignals {
  const signals = Object.entries(inputs).flatMap(([name, input]) => {
    if (input === undefined) return [];
    const value: unknown = typeof input === 'function' ? input() : input;
    return [[name, tensorOf(name, value, calls)] as const];
  });
  return Object.fromEntries(signals);
}

function tensorOf(name: string, value: unknown, calls: readonly LayerUse[]): tf.Tensor {
  if (typeof value === 'number' && name !== 'input' && name !== 'target') {
    if (Number.isFinite(value)) return tf.scalar(value);
    throw new SignalError('SIGNAL_NOT_FINITE', `Signal '${name}' is ${value}.`, 'give a finite number.');
  }
  if (!isTensor(value)) throw wrongShape(name, `the value ${String(value)}`, calls);
  if (value.isDisposed) throw wrongShape(name, 'a tensor that was disposed of', calls);
  if (!fits(name, value, calls)) throw wrongShape(name, `shape [${value.shape}]`, calls);
  if (!['loss', 'reward', 'input', 'target'].includes(name)) return value;
  if (['float32', 'int32', 'bool'].includes(value.dtype)) return tf.cast(value, 'float32');
  throw new SignalError(
    'SIGNAL_DTYPE',
    `Signal '${name}' is a tensor of ${value.dtype}.`,
    'give a tensor of float32, int32 or bool.',
  );
}

/** The instanceof of tfjs reads a property, so it throws for null. */
const isTensor = (value: unknown): value is tf.Tensor => value != null && value instanceof tf.Tensor;

/**
 * A loss is one number. A reward is one number, or one per example. Inputs and targets have a row per example. Readers
 * check the shape of any other signal.
 */
function fits(name: string, { rank, shape, size }: tf.Tensor, calls: readonly LayerUse[]): boolean {
  if (name === 'loss') return rank === 0;
  if (name === 'input' || name === 'target') return rank > 0 && hasExamples(calls, shape[0] as number);
  if (name !== 'reward' || rank === 0) return true;
  if (rank !== 1) return false;
  return hasExamples(calls, size);
}

const hasExamples = (calls: readonly LayerUse[], count: number) =>
  calls.length === 0 || count === calls[0]?.post.shape[0] || examplesOf(calls, count) !== null;

function wrongShape(name: string, value: string, calls: readonly LayerUse[]): SignalError {
  const batches = calls.map(({ post }) => post.shape[0]).join(' + ');
  return new SignalError(
    'SIGNAL_SHAPE',
    `Signal '${name}' has ${value}${batches === '' ? '' : ` in a batch of ${batches}`}.`,
    name === 'input' || name === 'target'
      ? 'give a tensor with one row per example of the batch, or a function that returns it.'
      : 'give one number, a tensor of one number or of one number per example, or a function that returns it.',
  );
}
