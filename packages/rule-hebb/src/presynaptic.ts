/** The presynaptic factor alone: a factor per activity turns it into a rule of three factors. */
import type { LocalRule } from '@ghl/core';
import { type Stateless, specOf, statelessRule } from '@ghl/core/plugin';
import * as tf from '@tensorflow/tfjs-core';

/**
 * The input alone, Δw_k = Σₚ xₚ: gate 1, scope none. With a third factor m per activity, such as `ib()`, the increment
 * is Σₚ m_pk · xₚ. Summed over batch and positions.
 *
 * @returns A rule without state.
 * @example
 * ```ts
 * import { stepOnce } from '@ghl/conformance/testing';
 * import { presynaptic } from '@ghl/rule-hebb';
 * import '@tensorflow/tfjs-backend-cpu';
 *
 * // ΔW = x, for any y.
 * console.log(stepOnce(presynaptic(), { input: [[1, 2]], weights: [[1], [0.5]] }));
 * // => [ [ 1 ], [ 2 ] ]
 * ```
 */
export function presynaptic(): LocalRule<Stateless> {
  return statelessRule(specOf('presynaptic'), ({ post }) => ({ gate: tf.onesLike(post), scope: 'none' }));
}
