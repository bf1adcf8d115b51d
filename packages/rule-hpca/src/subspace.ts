/** Oja's subspace rule: the units span the principal subspace together, in no order. */
import type { LocalRule } from '@ghl/core';
import { type Stateless, specOf, statelessRule } from '@ghl/core/plugin';
import * as tf from '@tensorflow/tfjs-core';

/**
 * The subspace rule of Oja and Karhunen, Δw_k = 1/P Σₚ y_pk · (xₚ − Σ_j y_pj · w_j): gate y/P, reconstruction y, scope
 * all.
 *
 * K units converge to an orthonormal basis of the space of the first K principal components, but not to the components:
 * any rotation of the units is equivalent. WᵀΔW = (I − WᵀW)·YᵀY/P. A mean over batch and positions.
 *
 * @returns A rule without state.
 * @see Oja and Karhunen, J. Math. Analysis and Applications 106, 1985; Oja, Int. J. Neural Systems 1, 1989.
 * @example
 * ```ts
 * import { stepOnce } from '@ghl/conformance/testing';
 * import { subspace } from '@ghl/rule-hpca';
 * import '@tensorflow/tfjs-backend-cpu';
 *
 * // w₁ = [1, 0] and w₂ = [0, 0.5] give y = [1, 1]: Δw₁ = Δw₂ = x − w₁ − w₂.
 * const weights = [
 *   [1, 0],
 *   [0, 0.5],
 * ];
 * console.log(stepOnce(subspace(), { input: [[1, 2]], weights }));
 * // => [ [ 0, 0 ], [ 1.5, 1.5 ] ]
 * ```
 */
export function subspace(): LocalRule<Stateless> {
  return statelessRule(specOf('subspace'), ({ post: y }) => ({
    gate: tf.div(y, y.shape[0]),
    reconstruction: y,
    scope: 'all',
  }));
}
