/** FastHebb's soft winner-take-all: competition between cosines, and a step that is a weighted mean. */
import type { Hyperparameter, LocalRule } from '@ghl/core';
import {
  checkNotEmpty,
  hyperparameter,
  readOptions,
  type Stateless,
  softmaxCompetition,
  specOf,
  statelessRule,
  valueAt,
} from '@ghl/core/plugin';
import * as tf from '@tensorflow/tfjs-core';

/** Options of {@link fastSwta}. */
export interface FastSwtaOptions {
  /** κ > 0, a number or a schedule. Default 0.02. κ → 0 is hard winner-take-all. */
  readonly temperature?: Hyperparameter;
}

/**
 * FastHebb's SWTA, Δw_k = Σₚ c_pk·z_pk · (xₚ − w_k): gate c⊙z, reconstruction 1, scope own. The similarity is a raised
 * and squared cosine, s = ((cos(x, w) + 1)/2)², the shares are z = softmax_k(s/κ), and c = z/Σₚ z makes the step a mean
 * of the batch, weighted by the shares. The cosine of a vector of zeros is 0.
 *
 * Δw_k = (Σ z²/Σ z)·(m_k − w_k) with m_k = Σ z²·x/Σ z²: a unit moves towards a weighted mean of the inputs, of any
 * norm. The shares depend on the direction of x and w, not on their norms.
 *
 * @returns A rule without state.
 * @throws ConfigurationError `BAD_VALUE`, `UNKNOWN_OPTION`.
 * @see Lagani, Gennaro, Fassold and Amato, "FastHebb", SISAP 2022, and its code.
 * @example
 * ```ts
 * import { stepOnce } from '@ghl/conformance/testing';
 * import { fastSwta } from '@ghl/rule-wta';
 * import '@tensorflow/tfjs-backend-cpu';
 *
 * // Both weight vectors have the same angle to x, so z = ½. For one position c is 1: Δw_k = ½·(x − w_k).
 * const weights = [
 *   [2, 0],
 *   [0, 2],
 * ];
 * console.log(stepOnce(fastSwta(), { input: [[4, 4]], weights }));
 * // => [ [ 1, 2 ], [ 2, 1 ] ]
 * ```
 */
export function fastSwta(options: FastSwtaOptions = {}): LocalRule<Stateless> {
  const { temperature } = readOptions('fastSwta', options, { temperature: hyperparameter(0.02, { above: 0 }) });
  return statelessRule(specOf('fastSwta', { temperature }), ({ post: y, weights: w, units, step, forward }) => {
    checkNotEmpty('fastSwta', { post: y });
    // One column is enough for units that read the same input.
    const ones = tf.ones([units.fanIn, units.groups === 1 ? 1 : units.fanOut]) as tf.Tensor2D;
    const inputNorm = tf.sqrt(forward(ones, tf.square));
    const cosine = tf.divNoNan(y, tf.mul(inputNorm, tf.norm(w, 2, 0)));
    const similarity = tf.square(tf.div(tf.add(cosine, 1), 2)) as tf.Tensor2D;
    const { gate: z } = softmaxCompetition(similarity, valueAt(temperature, step));
    return { gate: tf.divNoNan(tf.square(z), tf.sum(z, 0)) as tf.Tensor2D, reconstruction: 1, scope: 'own' };
  });
}
