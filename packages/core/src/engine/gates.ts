/** The first phase of a step: the rule's G and M for the activity. */
import * as tf from '@tensorflow/tfjs-core';
import { hasKernel, UPPER_PRODUCT } from '../backend/kernels.js';
import { checkNotEmpty } from '../checks.js';
import { columnDots } from '../column-dots.js';
import { SignalError } from '../errors.js';
import type { LocalContext, Scope } from '../local-rule.js';
import type { Plasticity } from '../plasticity.js';
import type { Units } from '../units.js';
import type { LayerStep, LayerUse } from './layer-step.js';
import { batchOf, examplesOf, pick } from './signals.js';
import type { PlasticityState } from './state.js';
import { checkShape, run } from './tensors.js';

/** Gates of one layer, ready to be correlated with its input. */
export interface LayerGates {
  /** For each call, G, and m⊙G after it where the third factor acts per example; shaped like the call's y. */
  readonly cotangents: readonly (readonly tf.Tensor[])[];
  /** M for G and for m⊙G: [K] if diagonal, [K, K] if not, null if the scope is `'none'`. */
  readonly overlaps: readonly (tf.Tensor | null)[];
  /** S, which decides which entries of M are 0. */
  readonly scope: Scope;
  /** The state after the rule, and after a modulator with a factor per example. */
  readonly state: PlasticityState;
}

/**
 * The first phase: y, W → G, M. Several calls of a layer are one [P, K] to the rule.
 *
 * @param layer Only a modulator with a factor per example reads its signals here.
 * @returns Null for a plasticity without a rule, or whose rule reads no activity.
 * @throws DataError `EMPTY_TENSOR` if a call has no examples or no positions.
 * @throws SignalError `SIGNAL_MISSING`, or `EXAMPLE_COUNT` if the batch of a call is not that of the signal.
 * @throws ConfigurationError `WRONG_SHAPE` unless gate and reconstruction of the rule have the shape of y.
 */
export function computeGates(
  { rule, modulator }: Plasticity,
  { connection, kernel, calls, signals, step }: LayerStep,
  state: PlasticityState,
): LayerGates | null {
  for (const { pre, post } of calls) checkNotEmpty('A layer', { 'its input': pre, 'its output': post });
  if (rule === null || rule.active === false) return null;
  const { units, kernelShape } = connection;
  const flat = (tensors: readonly tf.Tensor[]) =>
    tf.concat2d(
      tensors.map((tensor) => tf.reshape(tensor, [-1, units.fanOut]) as tf.Tensor2D),
      0,
    );
  const context: LocalContext = {
    post: flat(calls.map(({ post }) => post)),
    weights: tf.reshape(kernel, [-1, units.fanOut]),
    units,
    step,
    forward: (weights, f = (pre) => pre) =>
      flat(calls.map(({ pre }) => connection.forward(f(pre), tf.reshape(weights, [...kernelShape])))),
  };
  const result = rule.gate(context, state.rule);
  checkShape('gate', result.gate, context.post.shape);
  if (typeof result.reconstruction === 'object')
    checkShape('reconstruction', result.reconstruction, context.post.shape);
  const gates = splitBack(result.gate, calls);
  const overlapOf = (gate: tf.Tensor2D) => overlap(gate, result.reconstruction ?? 1, result.scope, units);
  const cotangents = gates.map((gate) => [gate]);
  if (result.overlap !== undefined) checkShape('overlap', result.overlap, [units.fanOut]);
  const overlaps = [(result.scope === 'own' && result.overlap) || overlapOf(result.gate)];
  if (modulator?.actsOn !== 'example')
    return { cotangents, overlaps, scope: result.scope, state: { ...state, rule: result.state } };

  const batch = batchOf(calls.map(({ post }) => post));
  const third = modulator.factor(pick(signals, modulator.reads), { units, step, batch }, state.modulator);
  const examples = examplesOf(calls, third.factor.size);
  if (examples === null) throw wrongCount(third.factor.size, calls);
  const modulated = gates.map((gate, call) => tf.mul(gate, perExample(third.factor, examples[call] as number, gate)));
  return {
    cotangents: cotangents.map(([gate], call) => [gate as tf.Tensor, modulated[call] as tf.Tensor]),
    overlaps: [...overlaps, overlapOf(flat(modulated))],
    scope: result.scope,
    state: { ...state, rule: result.state, modulator: third.state },
  };
}

/** M = S(Rᵀ·G): [K] for scope `'own'`, [K, K] for `'earlier'` and `'all'`. */
function overlap(gate: tf.Tensor2D, reconstruction: tf.Tensor2D | 1, scope: Scope, units: Units): tf.Tensor | null {
  if (scope === 'none') return null;
  if (scope === 'own') return reconstruction === 1 ? tf.sum(gate, 0) : columnDots(reconstruction, gate);
  const activity = reconstruction === 1 ? tf.onesLike(gate) : reconstruction;
  const upper = { transposeA: true, upper: 'result' };
  if (scope === 'earlier' && units.groups === 1 && hasKernel(UPPER_PRODUCT))
    return run(UPPER_PRODUCT, { a: activity, b: gate }, upper);
  const full = tf.matMul(activity, gate, true, false);
  const unit = tf.range(0, units.fanOut);
  const [j, k] = [tf.expandDims(unit, 1), tf.expandDims(unit, 0)];
  const masks: tf.Tensor[] = [];
  if (scope === 'earlier') masks.push(tf.lessEqual(j, k));
  if (units.groups > 1) {
    const group = (index: tf.Tensor) => tf.floor(tf.div(tf.add(index, 0.5), units.fanOut / units.groups));
    masks.push(tf.equal(group(j), group(k)));
  }
  return masks.reduce((m, mask) => tf.mul(m, tf.cast(mask, 'float32')), full as tf.Tensor);
}

function splitBack(gate: tf.Tensor2D, calls: readonly LayerUse[]): tf.Tensor[] {
  if (calls.length === 1) return [tf.reshape(gate, (calls[0] as LayerUse).post.shape)];
  const rows = calls.map(({ post }) => post.size / gate.shape[1]);
  return tf.split(gate, rows, 0).map((part, i) => tf.reshape(part, (calls[i] as LayerUse).post.shape));
}

function perExample(factor: tf.Tensor1D, first: number, gate: tf.Tensor): tf.Tensor {
  const size = gate.shape[0] as number;
  const own = size === factor.size ? factor : tf.slice(factor, [first], [size]);
  return tf.reshape(own, [-1, ...Array(gate.rank - 1).fill(1)]);
}

function wrongCount(count: number, calls: readonly LayerUse[]): SignalError {
  const batches = calls.map(({ post }) => post.shape[0]).join(' + ');
  return new SignalError(
    'EXAMPLE_COUNT',
    `There are ${count} factors for a layer called with ${batches} examples.`,
    "give one number per example of the batch, and call the layer with the whole batch at once where parts are ambiguous: predict(x, { batchSize }); or use per: 'batch'.",
  );
}
