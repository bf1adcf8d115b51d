/**
 * The engine: turns what a rule says, (G, R, S), into ΔW = Xᵀ·G − W·M for any connection, and a plasticity into the
 * increment of one layer. It works in three strokes, so that a learner can put the correlation of the middle one
 * together with back-propagation's own, which is over the same x:
 *
 *     computeGates      y, W → G, M                 after the forward pass
 *     correlate     x, G → Xᵀ·G                 connection.correlate(x, [∂L/∂y, G])
 *     increment     Xᵀ·G, M, signals → Δ        wrappers, third factor, transforms
 *
 * All functions are pure; a caller wraps them in `tf.tidy` and keeps what it wants.
 */
import * as tf from '@tensorflow/tfjs-core';
import { hasKernel, MAX_OPERATIONS, type Operation, UPPER_PRODUCT } from '../backend/kernels.js';
import { checkNotEmpty } from '../checks.js';
import { columnDots } from '../column-dots.js';
import { ConfigurationError, SignalError } from '../errors.js';
import type { LocalContext, Scope } from '../local-rule.js';
import type { SignalName, Signals } from '../modulator.js';
import type { Plasticity } from '../plasticity.js';
import type { StateTree } from '../state.js';
import type { IncrementResult } from '../transform.js';
import type { Units } from '../units.js';
import type { Connection } from './connection.js';

/** One use of a layer in a step: x as it went in, y as it came out, before bias and non-linearity. */
export interface LayerUse {
  /** x: [batch, …, cin], in the layer's own input shape. */
  readonly pre: tf.Tensor;
  /** y = x·W: [batch, …, K], in the layer's own output shape. */
  readonly post: tf.Tensor;
}

/** What a plasticity remembers of one kernel or weight. */
export type PlasticityState = {
  /** The local rule's; `{}` where there is none. */
  readonly rule: StateTree;
  /** One for each of the rule's wrappers, in their order. */
  readonly wrappers: readonly StateTree[];
  /** The third factor's; `{}` where there is none. */
  readonly modulator: StateTree;
  /** One for each transform of the chain, in their order. */
  readonly transforms: readonly StateTree[];
};

/** Gates of one layer, ready to be correlated with its input. */
export interface LayerGates {
  /** For each call, G, and m⊙G after it where the third factor acts per example; shaped like the call's y. */
  readonly cotangents: readonly (readonly tf.Tensor[])[];
  /** M for G and for m⊙G: [K] if diagonal, [K, K] if not, null where the scope is `'none'`. */
  readonly overlaps: readonly (tf.Tensor | null)[];
  /** S, which says how much of M is 0. */
  readonly scope: Scope;
  /** The state with the rule's part, and a gate modulator's, advanced. */
  readonly state: PlasticityState;
}

/** Signals as far as a step has them. */
export type AvailableSignals = { readonly [Name in SignalName]?: Signals[Name] };

/**
 * The state before the first step.
 *
 * @param shape Shape of the weight.
 * @param units Sizes of the layer; may be absent for weights that no rule moves (biases).
 */
export function initState(plasticity: Plasticity, shape: readonly number[], units?: Units): PlasticityState {
  const { rule, modulator, transforms } = plasticity;
  const sizes = units ?? unitsOfWeight(shape);
  return {
    rule: rule?.init(sizes) ?? {},
    wrappers: rule?.wrappers?.map((wrapper) => wrapper.init(shape)) ?? [],
    modulator: modulator?.init(sizes) ?? {},
    transforms: transforms.map((transform) => transform.init(shape)),
  };
}

/**
 * Asks the rule for its gate. Several calls of a layer are one [P, K] to the rule.
 *
 * @param signals Needed here only by a modulator that acts on the gate.
 * @returns Null for a plasticity without a rule, or whose rule looks at no activity.
 * @throws DataError `EMPTY_TENSOR` where a call has no examples, or no positions.
 * @throws SignalError `SIGNAL_MISSING`, or `EXAMPLE_COUNT` where a call's batch is not the signal's.
 * @throws ConfigurationError `WRONG_SHAPE` where the rule's gate or reconstruction is not shaped like y.
 */
export function computeGates(
  plasticity: Plasticity,
  connection: Connection,
  calls: readonly LayerUse[],
  kernel: tf.Tensor,
  signals: AvailableSignals,
  step: number,
  state: PlasticityState,
): LayerGates | null {
  const { rule, modulator } = plasticity;
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

/** ΔW = Xᵀ·G − W·M, kernel-shaped, for G and, where there is one, for m⊙G. */
export function computeEligibilities(
  connection: Connection,
  kernel: tf.Tensor,
  { overlaps, scope }: LayerGates,
  correlated: readonly tf.Tensor[],
): tf.Tensor[] {
  return overlaps.map((m, i) =>
    tidyRecord(() => {
      const hebbian = correlated[i] as tf.Tensor;
      if (m === null) return hebbian;
      const weights = tf.reshape(kernel, [-1, connection.units.fanOut]) as tf.Tensor2D;
      const reconstructed = m.rank === 1 ? tf.mul(weights, m) : reconstruct(weights, m as tf.Tensor2D, scope);
      return tf.sub(hebbian, tf.reshape(reconstructed, kernel.shape));
    }),
  );
}

/** W·M, of which M is an upper triangle where units subtract their own and earlier ones'. */
function reconstruct(weights: tf.Tensor2D, m: tf.Tensor2D, scope: Scope): tf.Tensor {
  if (scope !== 'earlier' || !hasKernel(UPPER_PRODUCT)) return tf.matMul(weights, m);
  return run(UPPER_PRODUCT, { a: weights, b: m }, { transposeA: false, upper: 'right' });
}

/** What {@link computeIncrement} works from. */
export interface IncrementInput {
  /** W, kernel-shaped, or a weight that no rule moves (a bias). */
  readonly weights: tf.Tensor;
  /** ΔW of G, and of m⊙G; absent where the plasticity has no rule, or one that looks at no activity. */
  readonly eligibilities?: readonly tf.Tensor[];
  /** At least those that the plasticity reads. */
  readonly signals: AvailableSignals;
  /** Sizes of the layer; default one input and the weight's last axis as units. */
  readonly units?: Units;
  /** Examples in this step's batch. */
  readonly batch: number;
  /** Updates made so far, 0 at the first, for schedules. */
  readonly step: number;
}

/**
 * What is added to the weights: the head's increment through every transform.
 *
 * @throws SignalError `SIGNAL_MISSING`; DataError `EMPTY_TENSOR` for weights or a signal without values.
 * @throws ConfigurationError `WRONG_SHAPE` where the increment of the modulator, or of a transform, is not shaped like the
 * weights.
 */
export function computeIncrement(
  { rule, modulator, transforms }: Plasticity,
  { weights, eligibilities, signals, units, batch, step }: IncrementInput,
  state: PlasticityState,
): IncrementResult<PlasticityState> {
  checkNotEmpty('A plasticity', { weights });
  const head = tidyRecord(() => {
    const wrappers: StateTree[] = [];
    if (rule === null) {
      return { increment: tf.neg(pick(signals, ['gradient']).gradient), wrappers, modulator: state.modulator };
    }
    let measured = eligibilities?.[0] ?? tf.onesLike(weights);
    let modulated = eligibilities?.[1] ?? measured;
    rule.wrappers?.forEach((wrapper, i) => {
      const { apply, state: next } = wrapper.wrap(measured, { weights, step }, state.wrappers[i] as StateTree);
      const plain = modulated === measured;
      measured = apply(measured);
      modulated = plain ? measured : apply(modulated);
      wrappers.push(next);
    });
    if (modulator?.actsOn !== 'weights') return { increment: modulated, wrappers, modulator: state.modulator };
    const sizes = units ?? unitsOfWeight(weights.shape);
    const seen = pick(signals, modulator.reads);
    const third = modulator.modulate(modulated, seen, { units: sizes, step, batch }, state.modulator);
    checkShape('increment', third.increment, weights.shape);
    return { increment: third.increment, wrappers, modulator: third.state };
  });
  let delta = head.increment;
  const states = transforms.map((transform, i) => {
    const next = tidyRecord(() => transform.update(delta, { weights, step }, state.transforms[i] as StateTree));
    checkShape('increment', next.increment, weights.shape);
    delta = next.increment;
    return next.state;
  });
  const { wrappers, modulator: modulatorState } = head;
  return { increment: delta, state: { rule: state.rule, wrappers, modulator: modulatorState, transforms: states } };
}

/**
 * The operations that {@link computeIncrement} amounts to at a step, for a backend that fuses them; null where a part of the
 * plasticity has state, or says of itself no operation, and where there are more than {@link MAX_OPERATIONS}.
 *
 * @param scale What the increment is multiplied by in the end. Default 1, which costs no operation.
 */
export function fusedOperations(
  { rule, modulator, transforms }: Plasticity,
  step: number,
  scale = 1,
): Operation[] | null {
  const head: Operation = rule === null ? ['gradient'] : rule.active === false ? ['one'] : ['eligibility'];
  const parts = [
    head,
    ...(rule?.wrappers ?? []).map(({ operation }) => operation),
    ...(modulator === null ? [] : [modulator.actsOn === 'weights' ? modulator.operation : undefined]),
    ...transforms.map((transform) => transform.operation?.(step)),
    ...(scale === 1 ? [] : [['scale', scale] as const]),
  ];
  return parts.length <= MAX_OPERATIONS && parts.every((part) => part !== undefined) ? parts : null;
}

/** One layer's step, all three strokes in one: what a learner without a fused backward pass, or a test, calls. */
export interface LayerStep {
  /** The layer's geometry. */
  readonly connection: Connection;
  /** W, kernel-shaped. */
  readonly kernel: tf.Tensor;
  /** Every use of the layer in this step, at least one; their ΔW are summed. */
  readonly calls: readonly LayerUse[];
  /** At least those that the plasticity reads. */
  readonly signals: AvailableSignals;
  /** Updates made so far, 0 at the first, for schedules. */
  readonly step: number;
}

/** What {@link layerIncrement} found. */
export interface LayerIncrement extends IncrementResult<PlasticityState> {
  /** ΔW of G, and of m⊙G, before wrappers; kernel-shaped. Absent where the rule looks at no activity. */
  readonly eligibilities?: readonly tf.Tensor[];
}

/**
 * The increment of one layer, and the ΔW behind it.
 *
 * @throws SignalError `SIGNAL_MISSING`; DataError `EMPTY_TENSOR` where a call has no examples, or no positions.
 */
export function layerIncrement(
  plasticity: Plasticity,
  { connection, kernel, calls, signals, step }: LayerStep,
  state: PlasticityState,
): LayerIncrement {
  const gates = computeGates(plasticity, connection, calls, kernel, signals, step, state);
  const input = {
    weights: kernel,
    signals,
    units: connection.units,
    batch: batchOf(calls.map(({ post }) => post)),
    step,
  };
  if (gates === null) return computeIncrement(plasticity, input, state);
  const each = calls.map(({ pre }, i) => connection.correlate(pre, gates.cotangents[i] as tf.Tensor[]));
  const correlated = gates.overlaps.map((_, gate) => tf.addN(each.map((sums) => sums[gate] as tf.Tensor)));
  const formed = computeEligibilities(connection, kernel, gates, correlated);
  return { ...computeIncrement(plasticity, { ...input, eligibilities: formed }, gates.state), eligibilities: formed };
}

/** What `body` makes on the way is freed at once: each tensor is as large as the weights. */
const tidyRecord = <T extends object>(body: () => T): T => tf.tidy(() => body() as never) as T;

/** What a weight without a connection counts as: one input for each unit of its last axis. */
const unitsOfWeight = (shape: readonly number[]): Units => ({ fanIn: 1, fanOut: shape.at(-1) ?? 1, groups: 1 });

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

function run(kernel: string, inputs: tf.NamedTensorMap, attrs: object = {}): tf.Tensor {
  return tf.engine().runKernel(kernel, inputs, attrs as tf.NamedAttrMap) as tf.Tensor;
}

function splitBack(gate: tf.Tensor2D, calls: readonly LayerUse[]): tf.Tensor[] {
  if (calls.length === 1) return [tf.reshape(gate, (calls[0] as LayerUse).post.shape)];
  const rows = calls.map(({ post }) => post.size / gate.shape[1]);
  return tf.split(gate, rows, 0).map((part, i) => tf.reshape(part, (calls[i] as LayerUse).post.shape));
}

/**
 * The examples in one step of a layer: those of one call, if all calls have as many, since a layer may be called several
 * times with one batch; otherwise those of all calls, which are parts of a batch.
 *
 * @param posts y of each call.
 */
export function batchOf(posts: readonly tf.Tensor[]): number {
  const sizes = posts.map(({ shape }) => shape[0] as number);
  return new Set(sizes).size <= 1 ? (sizes[0] ?? 0) : sum(sizes);
}

/**
 * Which example of the step is the first of each call, where the step has `count` examples. The calls are parts of the
 * batch, in order, as under `predict()`; and each part may have been several calls, next to one another where a layer has
 * several places in a model, or one round after the other.
 *
 * @returns Null if the calls do not add up to that many examples, or do so in two ways.
 */
export function examplesOf(calls: readonly LayerUse[], count: number): number[] | null {
  const sizes = calls.map(({ post }) => post.shape[0] as number);
  const rounds = sum(sizes) / count;
  if (sizes.every((size) => size === count)) return sizes.map(() => 0);
  if (!Number.isInteger(rounds) || rounds < 1) return null;
  const inPlaces: number[] = [];
  const inRounds: number[] = [];
  let [part, round] = [0, 0];
  sizes.forEach((size, i) => {
    inPlaces.push(sizes[i - (i % rounds)] === size ? part : Number.NaN);
    if (i % rounds === rounds - 1) part += size;
    inRounds.push(round + size <= count ? round : Number.NaN);
    round = (round + size) % count;
  });
  if (part !== count) inPlaces.push(Number.NaN);
  const ways = [inPlaces, inRounds].filter((way) => !way.some(Number.isNaN));
  return ways.length === 2 && String(ways[0]) !== String(ways[1]) ? null : (ways[0] ?? null);
}

const sum = (numbers: readonly number[]) => numbers.reduce((total, each) => total + each, 0);

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

/** Broadcasting would turn a wrong shape into a wrong step. */
function checkShape(what: string, { shape }: tf.Tensor, expected: readonly number[]): void {
  if (tf.util.arraysEqual(shape, [...expected])) return;
  throw new ConfigurationError(
    'WRONG_SHAPE',
    `The ${what} has the shape [${shape}], not [${expected}].`,
    'a rule gives gates and reconstructions shaped like post, modulators and transforms increments like the weights.',
  );
}

function pick<R extends SignalName>(signals: AvailableSignals, reads: readonly R[]): Pick<Signals, R> {
  const missing = reads.find((name) => signals[name] === undefined);
  if (missing !== undefined) {
    throw new SignalError(
      'SIGNAL_MISSING',
      `This plasticity reads '${missing}', which nobody provides.`,
      `hand it in: optimizer.minimize(f, { signals: { ${missing} } }).`,
    );
  }
  const picked = Object.fromEntries(reads.map((name) => [name, signals[name] as tf.Tensor]));
  checkNotEmpty('A plasticity', picked);
  return picked as unknown as Pick<Signals, R>;
}
