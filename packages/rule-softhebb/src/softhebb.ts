/** SoftHebb: soft winner-take-all, in which all units but the winner unlearn the input. */
import type { Hyperparameter, LocalRule } from '@ghl/core';
import {
  flag,
  hyperparameter,
  type Plugin,
  readOptions,
  type Stateless,
  softmaxCompetition,
  specOf,
  statelessRule,
  valueAt,
} from '@ghl/core/plugin';

/** Options of {@link softHebb}. */
export interface SoftHebbOptions {
  /** τ > 0, a number or a schedule. Default 1. Deep SoftHebb's code has 1/τ; the base of its softmax is e^(1/τ). */
  readonly temperature?: Hyperparameter;
  /** Whether the losers unlearn the input, as in Deep SoftHebb. Default true. Without it, the rule is soft WTA. */
  readonly antiHebbian?: boolean;
}

/**
 * SoftHebb, Δw_k = Σₚ s_pk·u_pk · (xₚ − y_pk · w_k) with u = softmax_k(y/τ): gate s⊙u, reconstruction y, scope own.
 * s is 1 for the winner at each position, the first unit with the largest y, and −1 for all other units. Without
 * `antiHebbian`, s is 1.
 *
 * w_k·Δw_k = (Σₚ s·u·y) (1 − ‖w_k‖²): the norm of a unit tends to 1 while that sum is positive, and away from 1
 * while it is negative. Σ_k s·u = 2·u_winner − 1. Summed over batch and positions.
 *
 * The published step divides ΔW by its largest entry, as `maxAbs` does, and has a size for each unit that depends on
 * its norm.
 *
 * @returns A rule without state.
 * @throws ConfigurationError `BAD_VALUE`, `UNKNOWN_OPTION`.
 * @see Moraitis et al., "SoftHebb", Neuromorph. Comput. Eng. 2, 2022; Journé et al., "Hebbian deep learning without
 * feedback", ICLR 2023, for the anti-Hebbian losers.
 * @example
 * ```ts
 * import { stepOnce } from '@ghl/conformance/testing';
 * import { softHebb } from '@ghl/rule-softhebb';
 * import '@tensorflow/tfjs-backend-cpu';
 *
 * // w₁ = [1, 0] and w₂ = [−1, 1] give y = [1, 1], so u = ½. The first unit wins: Δw₁ = ½·(x − w₁), Δw₂ = −½·(x − w₂).
 * const weights = [
 *   [1, -1],
 *   [0, 1],
 * ];
 * console.log(stepOnce(softHebb(), { input: [[1, 2]], weights }));
 * // => [ [ 0, -1 ], [ 1, -0.5 ] ]
 * ```
 */
export function softHebb(options: SoftHebbOptions = {}): LocalRule<Stateless> {
  const { temperature, antiHebbian } = readOptions('softHebb', options, {
    temperature: hyperparameter(1, { above: 0 }),
    antiHebbian: flag(true),
  });
  return statelessRule(specOf('softHebb', { temperature, antiHebbian }), ({ post: y, step }) => ({
    ...softmaxCompetition(y, valueAt(temperature, step), antiHebbian ? -1 : 1),
    reconstruction: y,
    scope: 'own',
  }));
}

/** SoftHebb, described for lists and tests of parts. */
export const plugin: Plugin = {
  kind: 'rule',
  name: 'softHebb',
  make: softHebb,
  examples: [[]],
  forLayer: (temperature) => ({ temperature }),
};
