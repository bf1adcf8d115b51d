/** HaH: the most active units learn the input, the other active ones unlearn it, at right angles to their weights. */
import type { Hyperparameter, LocalRule } from '@ghl/core';
import {
  hyperparameter,
  number,
  type Plugin,
  readOptions,
  type Stateless,
  specOf,
  statelessRule,
  valueAt,
} from '@ghl/core/plugin';
import * as tf from '@tensorflow/tfjs-core';

/** Options of {@link hah}. */
export interface HahOptions {
  /** The share of the units that learn at each position, in (0, 1], rounded up to whole units. Default 0.1. */
  readonly ratio?: number;
  /** λ ≥ 0, a number or a schedule: how strongly the other units unlearn. Default 0.1. */
  readonly demote?: Hyperparameter;
}

/**
 * The gradient of HaH's local objective: the mean of the T largest activities a_k = ReLU(y_k/‖w_k‖) at a position,
 * minus λ times the mean of the other K − T, averaged over batch and positions. T is ⌈ratio·K⌉.
 *
 * Δw_k = 1/P Σₚ c_pk/‖w_k‖ · (xₚ − y_pk/‖w_k‖² · w_k): gate c/(P·‖w‖), reconstruction y/‖w‖², scope own. c is 1/T for
 * the T most active units, −λ/(K − T) for the others, and 0 where y ≤ 0. Units that tie with number T learn too.
 *
 * w_k·Δw_k = 0, so norms change only by the square of the step. ΔW(c·x) = c·ΔW(x), and ΔW(c·w) = ΔW(w)/c. A unit
 * without weights does not move. Add it to gradient descent: `sum(gradientDescent(), chain(local(hah()), scaleBy(α)))`.
 *
 * @returns A rule without state.
 * @throws ConfigurationError `BAD_VALUE`, `UNKNOWN_OPTION`.
 * @see Cekic, Bakiskan and Madhow, "Neuro-inspired deep neural networks with sparse, strong activations", ICIP 2022.
 * @example
 * ```ts
 * import { stepOnce } from '@ghl/conformance/testing';
 * import { hah } from '@ghl/rule-hah';
 * import '@tensorflow/tfjs-backend-cpu';
 *
 * // w₁ = [2, 0] and w₂ = [0, 1] have ‖w‖ = 2 and 1, and y = [2, 3]: a = [1, 3], so unit 2 learns.
 * // Δw₂ = 1·(x − 3·w₂) = [1, 0], and Δw₁ = −0.5/2·(x − 2/4·w₁) = −0.25·[0, 3].
 * const weights = [
 *   [2, 0],
 *   [0, 1],
 * ];
 * console.log(stepOnce(hah({ demote: 0.5 }), { input: [[1, 3]], weights }));
 * // => [ [ 0, 1 ], [ -0.75, 0 ] ]
 * ```
 */
export function hah(options: HahOptions = {}): LocalRule<Stateless> {
  const { ratio, demote } = readOptions('hah', options, {
    ratio: number(0.1, { above: 0, most: 1 }),
    demote: hyperparameter(0.1, { least: 0 }),
  });
  return statelessRule(specOf('hah', { ratio, demote }), ({ post: y, weights: w, units, step }) => {
    const squares = tf.sum(tf.square(w), 0);
    const norms = tf.sqrt(squares);
    const activity = tf.divNoNan(y, norms) as tf.Tensor2D;
    const top = Math.ceil(ratio * units.fanOut);
    const least = tf.slice(tf.topk(activity, top).values, [0, top - 1], [-1, 1]);
    const others = Math.max(units.fanOut - top, 1);
    const sides = tf.where(tf.greaterEqual(activity, least), 1 / top, -valueAt(demote, step) / others);
    const c = tf.mul(sides, tf.step(activity));
    const gate = tf.div(tf.divNoNan(c, norms), y.shape[0]) as tf.Tensor2D;
    return { gate, reconstruction: tf.divNoNan(y, squares) as tf.Tensor2D, scope: 'own' };
  });
}

/** HaH, described for lists and tests of parts. */
export const plugin: Plugin = {
  kind: 'rule',
  name: 'hah',
  make: hah,
  examples: [[], [{ ratio: 0.5, demote: 0.5 }]],
};
