/**
 * A local rule changes a weight from the activity of the two units that it connects. Every rule is a gate times the
 * input minus a reconstruction:
 *
 *     Δw_k = Σₚ g_pk · (xₚ − Σ_{j ∈ S(k)} r_pj · w_j)      in matrices   ΔW = Xᵀ·G − W·M,   M = S(Rᵀ·G)
 *
 * A rule returns three things: the gate G, the reconstruction R and the scope S. The engine computes ΔW from them for
 * every geometry. A rule sees the activity and the weights of its layer, and no loss, label or gradient.
 */
import * as tf from '@tensorflow/tfjs-core';
import type { Operation } from './backend/kernels.js';
import { checkPart } from './checks.js';
import { type Spec, type Specified, specOf } from './spec.js';
import type { Stateless, StateTree } from './state.js';
import type { Units } from './units.js';

/**
 * The units whose reconstruction unit k subtracts from the input: none, its own, its own and those of earlier units, or
 * all units. In a depthwise convolution, the scope stays within one input channel.
 */
export type Scope = 'none' | 'own' | 'earlier' | 'all';

/** The inputs of a rule. P = batch × positions, D = fan-in, K = fan-out; the calls of a layer share one [P, K]. */
export interface LocalContext {
  /** y = x·W, before bias and non-linearity: [P, K]. */
  readonly post: tf.Tensor2D;
  /** W: [D, K]. */
  readonly weights: tf.Tensor2D;
  /** Sizes of the layer. */
  readonly units: Units;
  /** Updates made so far, for schedules. */
  readonly step: number;
  /**
   * The connection's forward map of f(x): with weights of 1, `forward(ones, tf.square)` is ‖xₚ‖² in every column.
   *
   * @param weights [D, C] for any number of columns C, in a depthwise convolution a multiple of its groups.
   * @param f Applied to the layer's input first; default the identity. Keeps its shape.
   * @returns [P, C].
   */
  forward(weights: tf.Tensor2D, f?: (pre: tf.Tensor) => tf.Tensor): tf.Tensor2D;
}

/** The output of a rule for one step. */
export interface GateResult<S extends StateTree> {
  /** G: [P, K]. */
  readonly gate: tf.Tensor2D;
  /** R: [P, K], or 1. Not read where the scope is `'none'`. Default 1. */
  readonly reconstruction?: tf.Tensor2D | 1;
  /** S: whose reconstruction is subtracted. */
  readonly scope: Scope;
  /** Σₚ r⊙g, [K], if the rule has it; otherwise the engine computes it. Only for scope `'own'`. */
  readonly overlap?: tf.Tensor1D;
  /** The state after this step. */
  readonly state: S;
}

/**
 * A local rule: pure functions and a spec. The engine disposes of the tensors that they allocate.
 *
 * @typeParam S The state that the rule keeps, `{}` if none.
 */
// biome-ignore lint/suspicious/noExplicitAny: a list of rules mixes state types, which only the rule itself reads
export interface LocalRule<S extends StateTree = any> extends Specified {
  /** The state before the first step. */
  init(units: Units): S;
  /**
   * Gate, reconstruction and scope of one step. Neither context nor state may be changed. The engine never calls it
   * without positions. Another caller that does gets an empty gate and the state, or DataError `EMPTY_TENSOR`.
   */
  gate(context: LocalContext, state: S): GateResult<S>;
  /** False for a rule whose ΔW is always 1: the engine does not call `gate`. */
  readonly active?: false;
  /** Wrappers applied to ΔW, in order. */
  readonly wrappers?: readonly Wrapper[];
}

/**
 * A rule without state, from its spec and the function that computes gate, reconstruction and scope:
 * `statelessRule(specOf('oja'), ({ post: y }) => ({ gate: y, reconstruction: y, scope: 'own' }))`.
 *
 * @example
 * ```ts
 * import { stepOnce } from '@ghl/conformance/testing';
 * import { specOf, statelessRule } from '@ghl/core/plugin';
 * import '@tensorflow/tfjs-backend-cpu';
 *
 * const hebb = () => statelessRule(specOf('hebb'), ({ post: y }) => ({ gate: y, scope: 'none' }));
 * // y = 1·1 + 2·0.5 = 2, and ΔW = y·x.
 * console.log(stepOnce(hebb(), { input: [[1, 2]], weights: [[1], [0.5]] }));
 * // => [ [ 2 ], [ 4 ] ]
 * ```
 */
export function statelessRule(
  spec: Spec,
  gate: (context: LocalContext) => Omit<GateResult<Stateless>, 'state'>,
): LocalRule<Stateless> {
  return { spec, init: () => ({}), gate: (context, state) => ({ ...gate(context), state }) };
}

/** The inputs of a wrapper. */
export interface WrapperContext {
  /** W, kernel-shaped. Reshaped to [fanIn, fanOut], column k holds the weights of unit k. */
  readonly weights: tf.Tensor;
  /** Sizes of the layer. */
  readonly units: Units;
  /** Updates made so far. */
  readonly step: number;
}

/** The output of a wrapper for one ΔW. */
export interface WrapResult<S extends StateTree> {
  /**
   * Applies the wrapper of this step to the ΔW that it has measured. If a third factor acts per example, it is applied
   * to the ΔW of the modulated gate instead.
   */
  apply(eligibility: tf.Tensor): tf.Tensor;
  /** The wrapper's state after this step. */
  readonly state: S;
}

/** A function of the ΔW that the engine has computed, applied before the third factor: a normalisation, a trace. */
// biome-ignore lint/suspicious/noExplicitAny: as for LocalRule
export interface Wrapper<S extends StateTree = any> extends Specified {
  /** Whether `apply` is linear, so that it can act on a ΔW whose gate was modulated per example. */
  readonly linear: boolean;
  /** The state before the first step, for a ΔW of this shape and a layer of these sizes. */
  init(kernelShape: readonly number[], units: Units): S;
  /** Measures ΔW before any third factor. */
  wrap(eligibility: tf.Tensor, context: WrapperContext, state: S): WrapResult<S>;
  /** The wrapper as an operation, for a backend that fuses a step into one kernel; only for one without state. */
  readonly operation?: Operation;
}

/**
 * The rule with one more wrapper around it. Its spec is the call `name(rule, ...args)`, from which `fromSpec` builds an
 * equal rule.
 *
 * @param name The factory that calls this function: `'trace'`.
 * @param args The arguments of that factory after the rule. Default: the arguments in the wrapper's spec.
 * @throws ConfigurationError `BAD_VALUE` unless `rule` is a local rule.
 * @example
 * ```ts
 * import { stepOnce } from '@ghl/conformance/testing';
 * import type { LocalRule } from '@ghl/core';
 * import { specOf, wrap } from '@ghl/core/plugin';
 * import { oja } from '@ghl/rule-oja';
 * import * as tf from '@tensorflow/tfjs-core';
 * import '@tensorflow/tfjs-backend-cpu';
 *
 * const halve = (rule: LocalRule): LocalRule =>
 *   wrap(rule, 'halve', {
 *     spec: specOf('halve'),
 *     linear: true,
 *     init: () => ({}),
 *     wrap: (_eligibility, _context, state) => ({ apply: (eligibility) => tf.div(eligibility, 2), state }),
 *   });
 * const layer = { input: [[1, 2]], weights: [[1], [0.5]] };
 * console.log(stepOnce(oja(), layer), stepOnce(halve(oja()), layer));
 * // => [ [ -2 ], [ 2 ] ] [ [ -1 ], [ 1 ] ]
 * ```
 */
export function wrap<S extends StateTree>(
  rule: LocalRule<S>,
  name: string,
  wrapper: Wrapper,
  ...args: readonly unknown[]
): LocalRule<S> {
  checkPart(
    `The argument of ${name}`,
    rule,
    'gate',
    `give a local rule, which a third factor then multiplies: ${name}(swta()).`,
  );
  const [first, ...rest] = wrapper.spec.args;
  const own = JSON.stringify(first) === JSON.stringify(rule.spec) ? rest : wrapper.spec.args;
  const spec = specOf(name, rule, ...(args.length > 0 ? args : own));
  return { ...rule, spec, wrappers: [...(rule.wrappers ?? []), wrapper] };
}

/**
 * The rule whose ΔW is 1 for every weight. With the sign modulator, this is sign descent without a local factor.
 *
 * @example
 * ```ts
 * import { stepOnce } from '@ghl/conformance/testing';
 * import { constant, threeFactor } from '@ghl/core';
 * import { sign } from '@ghl/modulator-sign';
 * import '@tensorflow/tfjs-backend-cpu';
 *
 * // The increment is −sign(∂L/∂W)·1.
 * const layer = { input: [[1, 2]], weights: [[1], [0.5]] };
 * console.log(stepOnce(threeFactor(constant(), sign()), layer, { gradient: [[0.1], [-20]] }));
 * // => [ [ -1 ], [ 1 ] ]
 * ```
 */
export function constant(): LocalRule<Stateless> {
  const rule = statelessRule(specOf('constant'), ({ post }) => ({ gate: tf.zerosLike(post), scope: 'none' }));
  return { ...rule, active: false };
}

/**
 * The rule whose gate is 1: Δw_k = Σₚ xₚ. A third factor per activity or per example then is the whole post-synaptic
 * term, Δw_k = Σₚ m_pk·xₚ. The delta rule and every other rule of this form is one modulator on it.
 *
 * @example
 * ```ts
 * import { stepOnce } from '@ghl/conformance/testing';
 * import { presynaptic } from '@ghl/core';
 * import '@tensorflow/tfjs-backend-cpu';
 *
 * console.log(stepOnce(presynaptic(), { input: [[1, 2], [3, 4]], weights: [[1], [0.5]] }));
 * // => [ [ 4 ], [ 6 ] ]
 * ```
 */
export function presynaptic(): LocalRule<Stateless> {
  return statelessRule(specOf('presynaptic'), ({ post }) => ({ gate: tf.onesLike(post), scope: 'none' }));
}

/** The name of the factory of a rule, without its wrappers. */
export function ruleName(rule: LocalRule): string {
  return bareSpec(rule).name;
}

/** The spec of a rule without its wrappers. */
export function bareSpec(rule: LocalRule): Spec {
  let spec: Spec = rule.spec;
  for (let depth = rule.wrappers?.length ?? 0; depth > 0; depth--) spec = spec.args[0] as unknown as Spec;
  return spec;
}
