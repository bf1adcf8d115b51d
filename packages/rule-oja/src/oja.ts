/** Oja's rule: Hebbian learning with a forgetting term that holds each unit's weights at unit norm. */
import type { LocalRule } from '@ghl/core';
import { type Plugin, type Stateless, specOf, statelessRule } from '@ghl/core/plugin';

/**
 * Oja's rule, Δw_k = Σₚ y_pk · (xₚ − y_pk · w_k): gate y, reconstruction y, scope own.
 *
 * Each unit alone converges to the first principal component of its input, at norm 1; w_k·Δw_k = Σₚ y² (1 − ‖w_k‖²).
 * Summed over batch and positions.
 *
 * @returns A rule without state.
 * @see Oja, "A simplified neuron model as a principal component analyzer", J. Math. Biology 15, 1982.
 * @example
 * ```ts
 * import { stepOnce } from '@ghl/conformance/testing';
 * import { oja } from '@ghl/rule-oja';
 * import '@tensorflow/tfjs-backend-cpu';
 *
 * // y = 1·1 + 2·0.5 = 2, and ΔW = y·(x − y·w) = 2·([1, 2] − 2·[1, 0.5]).
 * console.log(stepOnce(oja(), { input: [[1, 2]], weights: [[1], [0.5]] }));
 * // => [ [ -2 ], [ 2 ] ]
 * ```
 */
export function oja(): LocalRule<Stateless> {
  return statelessRule(specOf('oja'), ({ post: y }) => ({ gate: y, reconstruction: y, scope: 'own' }));
}

/** Oja's rule, described for lists and tests of parts. */
export const plugin: Plugin = {
  kind: 'rule',
  name: 'oja',
  make: oja,
  examples: [[]],
};
