/** Flatter or steeper magnitudes of ΔW. */
import * as tf from '@tensorflow/tfjs-core';
import { type LocalRule, wrap } from './local-rule.js';
import { checkHyperparameter, type Hyperparameter, valueAt } from './schedule.js';
import { specOf } from './spec.js';
import type { StateTree } from './state.js';

/**
 * ΔW ↦ sign(ΔW)·|ΔW|ᵖ. p = 1 is the rule itself. The smaller p, the more equal are the magnitudes. Around `maxAbs`, the
 * largest entry stays ±1.
 *
 * @param rule The rule whose ΔW changes. A third factor per example is rejected.
 * @param exponent p above 0, a number or a schedule.
 * @throws ConfigurationError `BAD_VALUE` for an exponent out of range, or unless `rule` is a local rule.
 * @example
 * ```ts
 * import { stepOnce } from '@ghl/conformance/testing';
 * import { power } from '@ghl/core';
 * import { oja } from '@ghl/rule-oja';
 * import '@tensorflow/tfjs-backend-cpu';
 *
 * // y = 1·2 + 2·0 = 2, and ΔW = 2·([1, 2] − 2·[2, 0]) = [−6, 4].
 * const layer = { input: [[1, 2]], weights: [[2], [0]] };
 * console.log(stepOnce(oja(), layer), stepOnce(power(oja(), 0.5), layer));
 * // => [ [ -6 ], [ 4 ] ] [ [ -2.4494898319244385 ], [ 2 ] ]
 * ```
 */
export function power<S extends StateTree>(rule: LocalRule<S>, exponent: Hyperparameter): LocalRule<S> {
  const p = checkHyperparameter('power exponent', exponent, { above: 0 });
  return wrap(rule, 'power', {
    spec: specOf('power', exponent),
    linear: false,
    init: () => ({}),
    wrap: (_, { step }, state) => ({
      apply: (eligibility) => tf.mul(tf.sign(eligibility), tf.pow(tf.abs(eligibility), valueAt(p, step))),
      state,
    }),
    ...(typeof p === 'number' && { operation: ['power', p] as const }),
  });
}
