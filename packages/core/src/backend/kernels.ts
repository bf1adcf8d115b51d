/**
 * The kernels that a backend may register in addition to those of TensorFlow.js, by name. The engine and the learner
 * call a kernel if the current backend has it, and otherwise compute the same with stock kernels.
 */
import * as tf from '@tensorflow/tfjs-core';

/** Whether the current backend has a kernel, such as those below. */
export function hasKernel(kernel: string): boolean {
  return tf.getKernel(kernel, tf.getBackend()) !== undefined;
}

/**
 * A kernel that a backend may register in addition to those of TensorFlow.js: the filter gradients of several
 * cotangents, over one pass of x. Inputs `x`, `dy0`, `dy1`, …; attributes as of `Conv2DBackpropFilter`; outputs one
 * gradient for each cotangent, in their order. Connections call it if it is registered, and otherwise
 * `Conv2DBackpropFilter`.
 */
export const FILTER_GRADIENTS = 'GhlConv2DBackpropFilter';

/**
 * The diagonal of aᵀ·b, Σₚ a[p, k]·b[p, k], without the product in between: inputs `a` and `b` [P, K], output [K]. May
 * be registered as {@link FILTER_GRADIENTS}.
 */
export const OVERLAP = 'GhlOverlap';

/**
 * Batch normalisation of x [P, C] by the mean μ and biased variance σ² of each channel: input `x`, attribute `epsilon`,
 * outputs y = (x − μ)·ρ, μ, σ² and ρ = 1 / √(σ² + ε). May be registered as {@link FILTER_GRADIENTS}.
 */
export const BATCH_NORM = 'GhlBatchNorm';

/** Its gradient: inputs `dy`, `y` and `precision` ρ; output ∂x = (∂y − ⟨∂y⟩ − y·⟨∂y·y⟩)·ρ, with ⟨·⟩ the mean over P. */
export const BATCH_NORM_GRADIENT = 'GhlBatchNormGrad';

/**
 * A weight's step in one kernel: inputs `weights` W, and `sums` Σ, `overlap` m [K] and `gradient` g as far as the
 * attribute `program`, a list of at most {@link MAX_OPERATIONS} of {@link Operation}, reads them. Entry i belongs to
 * unit i mod K; the attribute `units` is K. The outputs are W + v, or max(W + v, 0) if the attribute `nonNegative` is
 * true, and a flag: whether all of W + v is finite. May be registered as {@link FILTER_GRADIENTS}.
 */
export const FUSED_UPDATE = 'GhlMove';

/**
 * One of two tensors of one shape and type: inputs `ok`, a bool [], `value` and `before`; the output is `value` where
 * `ok` is true, else `before`. A backend may return one of them by reference, or write `before` over a `value` that
 * has no other reference. May be registered as {@link FILTER_GRADIENTS}.
 */
export const CHOOSE = 'GhlChoose';

/**
 * Whether every entry of a float32 `x` is finite, or equals its entry of the input `before`, if there is one: a bool
 * []. May be registered as {@link FILTER_GRADIENTS}.
 */
export const ALL_FINITE = 'GhlAllFinite';

/**
 * The gate of a {@link COMPETITION}: the shares u; u for the winner and −u for all other units; or 1 for the winner and
 * 0 for all other units. The winner is the first unit with the largest x.
 */
export type CompetitionForm = 'shares' | 'signed' | 'winner';

/**
 * Competition: u = softmax(x/τ) over the last axis of x [P, K], with 2⁻¹²⁶ ≤ τ < 2¹²⁶ in the attribute
 * `temperature`, for all finite x. The outputs are the gate g that the attribute `form`, a {@link CompetitionForm},
 * names, and Σₚ g⊙x, [K]. For `'winner'`, x may also be −∞, but not in a whole row.
 * May be registered as {@link FILTER_GRADIENTS}.
 */
export const COMPETITION = 'GhlCompetition';

/**
 * A product of which one part is an upper triangle: inputs `a` and `b`, attribute `transposeA`, and attribute `upper`,
 * `'result'`: the product is 0 below its diagonal; or `'right'`: `b` is 0 there. Half the work of
 * `matMul`. May be registered as {@link FILTER_GRADIENTS}.
 */
export const UPPER_PRODUCT = 'GhlUpperProduct';

/** Attributes of {@link DROPOUT}. */
export interface DropoutAttributes {
  /** The generator's key, two numbers of 32 bits. */
  readonly key: readonly [number, number];
  /** In 2⁻³¹: a unit stays whose draw of 31 bits is not below it. */
  readonly threshold: number;
  /** The factor of a unit that stays, 1 / (1 − rate). */
  readonly scale: number;
}

/**
 * Dropout of a float32 `x`, from {@link DropoutAttributes}: yᵢ = xᵢ · scale where the upper 31 bits of draw i are not
 * below `threshold`, else xᵢ · 0. With i = 8q + 4w + r, r < 4, draw i is word w of Threefry-2x32 of 13 rounds for
 * counter (4q + r, 0). May be registered as {@link FILTER_GRADIENTS}.
 *
 * @see Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011; 13 rounds are the fewest that pass
 * BigCrush.
 */
export const DROPOUT = 'GhlDropout';

/** The longest program of {@link FUSED_UPDATE}: the capacity of a kernel. */
export const MAX_OPERATIONS = 64;

/** An operation on the increment v of a weight. A fused step is a list of operations. */
export type Operation =
  /** v = Σ − W·m, with m per unit, 0 by default; v = −g; v = 1. A program begins with one of these. */
  | readonly ['eligibility' | 'gradient' | 'one']
  /** v / max|v| over the whole weight, or 0 if max|v| is 0; √mean(v²) for all of v. */
  | readonly ['maxAbs' | 'rms']
  /**
   * The same over the weights of each unit; and v_k·r / RMS(v_k) for each unit k, where r² is the mean of RMS(v_k)²
   * over the units with v_k ≠ 0. A v_k of 0 stays at 0.
   */
  | readonly ['unitMaxAbs' | 'unitRms' | 'normalizeUnits']
  /** −sign(g)·|v|; −sign(g)·v. */
  | readonly ['magnitude' | 'flip']
  /** a·v; v − a·W; min(max(v, −a), a); sign(v)·|v|ᵃ, a > 0. */
  | readonly ['scale' | 'decay' | 'clip' | 'power', by: number]
  /** a·(w_k + v_k) / ‖w_k + v_k‖ − w_k for each unit k; −w_k if w_k + v_k is 0. */
  | readonly ['unitNorm', radius: number]
  /** min(max(W + v, low), high) − W, where low ≤ high. */
  | readonly ['bounds', low: number, high: number]
  /** a·(abs(‖w_k‖ − 1) + 1e-10)ᵇ·v_k for each unit k. */
  | readonly ['unitStep', by: number, power: number];
