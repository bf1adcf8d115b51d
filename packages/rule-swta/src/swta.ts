/** Soft winner-take-all: Oja's rule gated by a softmax competition between the units of a layer. */
import type { Hyperparameter, LocalRule } from '@ghl/core';
import {
  hyperparameter,
  type Plugin,
  readOptions,
  type Stateless,
  softmaxCompetition,
  specOf,
  statelessRule,
  valueAt,
} from '@ghl/core/plugin';

/** Options of {@link swta}. */
export interface SwtaOptions {
  /** τ > 0, a number or a schedule. Default 1. τ → 0 is hard winner-take-all, τ → ∞ lets every unit learn the mean. */
  readonly temperature?: Hyperparameter;
}

/**
 * GHL's local rule (eq. 4), Δw_k = Σₚ u_pk · (xₚ − y_pk · w_k) with u = softmax_k(y/τ): gate u, reconstruction y, scope
 * own. Units compete at each position of each example; the sum is over batch and positions.
 *
 * @returns A rule without state.
 * @throws ConfigurationError `BAD_VALUE`, `UNKNOWN_OPTION`.
 * @see Hua, Zhao et al., "Hebbian Learning with Global Direction", ICASSP 2026, eq. 4 and Algorithm 1.
 * @example
 * ```ts
 * import { stepOnce } from '@ghl/conformance/testing';
 * import { swta } from '@ghl/rule-swta';
 * import '@tensorflow/tfjs-backend-cpu';
 *
 * // w₁ = [1, 0] and w₂ = [−1, 1] give y = [1, 1], and each unit an equal share: Δw_k = ½·(x − 1·w_k).
 * const weights = [
 *   [1, -1],
 *   [0, 1],
 * ];
 * console.log(stepOnce(swta(), { input: [[1, 2]], weights }));
 * // => [ [ 0, 1 ], [ 1, 0.5 ] ]
 * ```
 */
export function swta(options: SwtaOptions = {}): LocalRule<Stateless> {
  const { temperature } = readOptions('swta', options, { temperature: hyperparameter(1, { above: 0 }) });
  return statelessRule(specOf('swta', { temperature }), ({ post: y, step }) => ({
    ...softmaxCompetition(y, valueAt(temperature, step)),
    reconstruction: y,
    scope: 'own',
  }));
}

/** Soft winner-take-all, described for lists and tests of parts. */
export const plugin: Plugin = {
  kind: 'rule',
  name: 'swta',
  make: swta,
  examples: [[], [{ temperature: 0.5 }]],
  forLayer: (temperature) => ({ temperature }),
};
