/** Plain Hebbian learning: the product of input and output, without a term that bounds it. */
import type { LocalRule } from '@ghl/core';
import { type Stateless, specOf, statelessRule } from '@ghl/core/plugin';

/**
 * Hebb's rule, Δw_k = Σₚ y_pk · xₚ: gate y, scope none.
 *
 * It is unstable alone: w_k·Δw_k = Σₚ y² ≥ 0, so no step makes a weight vector shorter. With C = Σₚ xₚ·xₚᵀ, each step
 * is w ← (I + η·C)·w, and w grows exponentially along the first principal component. Summed over batch and positions.
 *
 * @returns A rule without state.
 * @see Hebb, "The Organization of Behavior", 1949; Oja, J. Math. Biology 15, 1982, for the growth and its remedy.
 * @example
 * ```ts
 * import { stepOnce } from '@ghl/conformance/testing';
 * import { hebb } from '@ghl/rule-hebb';
 * import '@tensorflow/tfjs-backend-cpu';
 *
 * // y = 1·1 + 2·0.5 = 2, and ΔW = y·x.
 * console.log(stepOnce(hebb(), { input: [[1, 2]], weights: [[1], [0.5]] }));
 * // => [ [ 2 ], [ 4 ] ]
 * ```
 */
export function hebb(): LocalRule<Stateless> {
  return statelessRule(specOf('hebb'), ({ post: y }) => ({ gate: y, scope: 'none' }));
}
