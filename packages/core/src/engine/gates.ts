/** The first phase of a step: the rule's G and M for the activity. */
import * as tf from '@tensorflow/tfjs-core';
import { hasKernel, UPPER_PRODUCT } from '../backend/kernels.js';
import { checkNotEmpty } from '../checks.js';
import { columnDots } from '../column-dots.js';
import { SignalError } from '../errors.js';
import { bareSpec, type LocalContext, type LocalRule, type Scope } from '../local-rule.js';
import type { GlobalModulator, PerActivityModulator, PerExampleModulator } from '../modulator.js';
import { type Plasticity, readsActivity } from '../plasticity.js';
import { leaves, type StateTree } from '../state.js';
import type { Units } from '../units.js';
import type { LayerStep, LayerUse } from './layer-step.js';
import { batchOf, examplesIn, examplesOf, pick, roundsOf } from './signals.js';
import type { PlasticityState } from './state.js';
import { checkShape, run } from './tensors.js';

/** Gates of one layer, ready to be correlated with its input. */
export interface LayerGates {
  /** For each call, each gate G or m⊙G, shaped like the call's y. */
  readonly cotangents: readonly (readonly tf.Tensor[])[];
  /** M for each gate: [K] if diagonal, [K, K] if not, null if the scope is `'none'`. */
  readonly overlaps: readonly (tf.Tensor | null)[];
  /** S for each gate, which decides which entries of its M are 0. */
  readonly scopes: readonly Scope[];
  /** The index of the gate of each ΔW that the plasticity reads. Terms of a sum with one rule share its gate. */
  readonly order: readonly number[];
  /** The state after the rules, and after modulators that act on the gate. */
  readonly state: PlasticityState;
}

/** One gate of a layer. */
interface Gate {
  /** G or m⊙G for each call. */
  readonly parts: readonly tf.Tensor[];
  readonly overlap: tf.Tensor | null;
  readonly scope: Scope;
}

/** The result of a rule: its gate for each call, and M for any gate. */
interface Evaluation {
  readonly rule: LocalRule;
  readonly parts: readonly tf.Tensor[];
  readonly scope: Scope;
  readonly state: StateTree;
  /** G and its M. */
  plain(): Gate;
  overlapOf(gate: tf.Tensor2D): tf.Tensor | null;
}

/**
 * The first phase: y, W → G, M. Several calls of a layer are one [P, K] to the rule.
 *
 * G is among the gates unless a third factor acts on it and no wrapper measures ΔW. m⊙G follows it.
 *
 * @param layer Only a modulator with a factor per example or per activity reads its signals here.
 * @returns Null for a plasticity without a rule that reads activity.
 * @throws DataError `EMPTY_TENSOR` if a call has no examples or no positions.
 * @throws SignalError `SIGNAL_MISSING`, or `EXAMPLE_COUNT` if the batch of a call is not that of the signal.
 * @throws ConfigurationError `WRONG_SHAPE` unless gate and reconstruction of the rule have the shape of y.
 */
export function computeGates(plasticity: Plasticity, layer: LayerStep, state: PlasticityState): LayerGates | null {
  const { calls } = layer;
  for (const { pre, post } of calls) checkNotEmpty('A layer', { 'its input': pre, 'its output': post });
  if (!readsActivity(plasticity)) return null;
  const context = localContext(layer);
  const evaluations: Evaluation[] = [];
  const gates: Gate[] = [];
  const order: number[] = [];
  const add = (gate: Gate) => {
    if (!gates.includes(gate)) gates.push(gate);
    order.push(gates.indexOf(gate));
  };
  const visit = (part: Plasticity, before: PlasticityState): PlasticityState => {
    const { rule, modulator, terms } = part;
    if (terms !== undefined) {
      return { ...before, terms: terms.map((term, i) => visit(term, before.terms[i] as PlasticityState)) };
    }
    if (rule === null || rule.active === false) return before;
    let evaluation = evaluations.find((each) => isSameRule(each.rule, rule) && leaves(before.rule).length === 0);
    if (evaluation === undefined) {
      evaluation = evaluate(rule, context, layer, before.rule);
      evaluations.push(evaluation);
    }
    const after = { ...before, rule: evaluation.state };
    if (!actsOnGate(modulator)) {
      add(evaluation.plain());
      return after;
    }
    if (eligibilityCount(part) > 1) add(evaluation.plain());
    const { factors, state: next } = factorsOf(modulator, layer, context.post, before.modulator);
    const parts = evaluation.parts.map((gate, call) => tf.mul(gate, factors[call] as tf.Tensor));
    add({ parts, overlap: evaluation.overlapOf(flatten(parts, context.units)), scope: evaluation.scope });
    return { ...after, modulator: next };
  };
  const next = visit(plasticity, state);
  return {
    cotangents: calls.map((_, call) => gates.map(({ parts }) => parts[call] as tf.Tensor)),
    overlaps: gates.map(({ overlap }) => overlap),
    scopes: gates.map(({ scope }) => scope),
    order,
    state: next,
  };
}

/** The number of ΔW that a plasticity reads: of m⊙G, and before it of G if a wrapper measures it. */
export function eligibilityCount(plasticity: Plasticity): number {
  const { rule, modulator, terms } = plasticity;
  if (terms !== undefined) return terms.reduce((total, term) => total + eligibilityCount(term), 0);
  if (rule === null || rule.active === false) return 0;
  return actsOnGate(modulator) && (rule.wrappers ?? []).length > 0 ? 2 : 1;
}

const actsOnGate = (modulator: GlobalModulator | null): modulator is PerExampleModulator | PerActivityModulator =>
  modulator !== null && modulator.actsOn !== 'weights';

/**
 * Whether two rules without state, perhaps with different wrappers, have one gate: one function, made by one call of a
 * factory.
 */
function isSameRule(one: LocalRule, other: LocalRule): boolean {
  return one.gate === other.gate && JSON.stringify(bareSpec(one)) === JSON.stringify(bareSpec(other));
}

function localContext({ connection, kernel, calls, step }: LayerStep): LocalContext {
  const { units, kernelShape } = connection;
  return {
    post: flatten(
      calls.map(({ post }) => post),
      units,
    ),
    weights: tf.reshape(kernel, [-1, units.fanOut]),
    units,
    step,
    forward(weights, f = (pre) => pre) {
      const fanOut = weights.shape[1];
      const kernel = tf.reshape(weights, [...kernelShape.slice(0, -1), fanOut / units.groups]);
      const activities = calls.map(({ pre }) => connection.forward(f(pre), kernel));
      return flatten(activities, { fanOut });
    },
  };
}

function flatten(tensors: readonly tf.Tensor[], { fanOut }: Pick<Units, 'fanOut'>): tf.Tensor2D {
  return tf.concat2d(
    tensors.map((tensor) => tf.reshape(tensor, [-1, fanOut]) as tf.Tensor2D),
    0,
  );
}

function evaluate(rule: LocalRule, context: LocalContext, { calls }: LayerStep, before: StateTree): Evaluation {
  const { units, post } = context;
  const { gate, reconstruction = 1, scope, overlap: own, state } = rule.gate(context, before);
  checkShape('gate', gate, post.shape);
  if (reconstruction !== 1) checkShape('reconstruction', reconstruction, post.shape);
  if (own !== undefined) checkShape('overlap', own, [units.fanOut]);
  const parts = splitBack(gate, calls);
  const overlapOf = (each: tf.Tensor2D) => overlap(each, reconstruction, scope, units);
  let plain: Gate | null = null;
  return {
    rule,
    parts,
    scope,
    state,
    plain() {
      plain ??= { parts, overlap: (scope === 'own' && own) || overlapOf(gate), scope };
      return plain;
    },
    overlapOf,
  };
}

/** m for each call, shaped so that it multiplies the gate of the call. */
function factorsOf(
  modulator: PerExampleModulator | PerActivityModulator,
  { connection, calls, signals, step }: LayerStep,
  post: tf.Tensor2D,
  before: StateTree,
): { readonly factors: readonly tf.Tensor[]; readonly state: StateTree } {
  const { units } = connection;
  const seen = pick(signals, modulator.reads);
  const batch = batchOf(calls.map((call) => call.post));
  if (modulator.actsOn === 'example') {
    const { factor, state } = modulator.factor(seen, { units, step, batch }, before);
    const examples = examplesOf(calls, factor.size);
    if (examples === null) throw wrongCount(`${factor.size} factors`, calls);
    const factors = calls.map((call, i) => perExample(factor, examples[i] as number, call.post));
    return { factors, state };
  }
  const count = examplesIn(seen) ?? batch;
  const rounds = roundsOf(calls, count);
  if (rounds === null) throw wrongCount(`${count} examples`, calls);
  const ordered = calls.length === 1 ? post : byExample(rounds, calls, units);
  const { factor, state } = modulator.factor(seen, { units, step, batch: count, post: ordered }, before);
  checkShape('factor', factor, post.shape);
  return { factors: byCall(factor, rounds, calls), state };
}

/** The rows of all calls in the order of their examples, [P, K]. */
function byExample(rounds: readonly (readonly number[])[], calls: readonly LayerUse[], { fanOut }: Units): tf.Tensor2D {
  const ofRounds = rounds.map((round) =>
    tf.concat(
      round.map((call) => {
        const { post } = calls[call] as LayerUse;
        return tf.reshape(post, [post.shape[0] as number, -1]);
      }),
    ),
  );
  return tf.reshape(tf.concat(ofRounds, 1), [-1, fanOut]);
}

/** The inverse of {@link byExample}: the part of each call, shaped like its y. */
function byCall(
  factor: tf.Tensor2D,
  rounds: readonly (readonly number[])[],
  calls: readonly LayerUse[],
): readonly tf.Tensor[] {
  if (calls.length === 1) return [tf.reshape(factor, (calls[0] as LayerUse).post.shape)];
  const sizes = (round: readonly number[]) => round.map((call) => (calls[call] as LayerUse).post.shape[0] as number);
  const widths = rounds.map(([first]) => {
    const { size, shape } = (calls[first as number] as LayerUse).post;
    return size / (shape[0] as number);
  });
  const total = widths.reduce((sum, width) => sum + width, 0);
  const parts: tf.Tensor[] = [];
  tf.split(tf.reshape(factor, [-1, total]), widths, 1).forEach((ofRound, i) => {
    const round = rounds[i] as readonly number[];
    tf.split(ofRound, sizes(round), 0).forEach((part, j) => {
      const call = round[j] as number;
      parts[call] = tf.reshape(part, (calls[call] as LayerUse).post.shape);
    });
  });
  return parts;
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

function wrongCount(count: string, calls: readonly LayerUse[]): SignalError {
  const batches = calls.map(({ post }) => post.shape[0]).join(' + ');
  return new SignalError(
    'EXAMPLE_COUNT',
    `There are ${count} for a layer called with ${batches} examples.`,
    "give one number per example of the batch, and call the layer with the whole batch at once where parts are ambiguous: predict(x, { batchSize }); or use per: 'batch'.",
  );
}
