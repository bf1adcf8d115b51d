/** Hard winner-take-all: the best units at each position move towards the input. */
import type { LocalRule } from '@ghl/core';
import { hardCompetition, readOptions, type Stateless, specOf, statelessRule, whole } from '@ghl/core/plugin';

/** Options of {@link wta}. */
export interface WtaOptions {
  /** Units that learn at each position, a whole number of at least 1. Default 1. */
  readonly winners?: number;
}

/**
 * Winner-take-all, Δw_k = Σₚ u_pk · (xₚ − w_k): gate u, reconstruction 1, scope own. u is 1 for the units with the
 * largest y at each position, and 0 for all others. Of units with the same y, the first win.
 *
 * A unit that wins converges to the mean of the inputs that it wins, as in k-means. A unit that never wins keeps its
 * weights. y = x·w is not a distance: a unit with a large norm wins more. Summed over batch and positions.
 *
 * @returns A rule without state.
 * @throws ConfigurationError `BAD_VALUE`, `UNKNOWN_OPTION`.
 * @see Grossberg, "Adaptive pattern classification and universal recoding", Biol. Cybern. 23, 1976, for the instar;
 * Rumelhart and Zipser, "Feature discovery by competitive learning", Cogn. Sci. 9, 1985.
 * @example
 * ```ts
 * import { stepOnce } from '@ghl/conformance/testing';
 * import { wta } from '@ghl/rule-wta';
 * import '@tensorflow/tfjs-backend-cpu';
 *
 * // w₁ = [1, 0] and w₂ = [0, 1] give y = [1, 2]: unit 2 wins, and Δw₂ = x − w₂.
 * const weights = [
 *   [1, 0],
 *   [0, 1],
 * ];
 * console.log(stepOnce(wta(), { input: [[1, 2]], weights }));
 * // => [ [ 0, 1 ], [ 0, 1 ] ]
 * ```
 */
export function wta(options: WtaOptions = {}): LocalRule<Stateless> {
  const { winners } = readOptions('wta', options, { winners: whole(1, { least: 1 }) });
  return statelessRule(specOf('wta', { winners }), ({ post: y }) => ({
    gate: hardCompetition(y, winners).gate,
    reconstruction: 1,
    scope: 'own',
  }));
}
