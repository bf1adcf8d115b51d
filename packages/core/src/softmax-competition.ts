/** Competition between the units of a layer, the gate of several rules. */
import * as tf from '@tensorflow/tfjs-core';
import { COMPETITION, hasKernel } from './backend/kernels.js';
import { checkNotEmpty, checkNumber } from './checks.js';
import type { GateResult } from './local-rule.js';

/** The smallest float32 number that every processor supports: a GPU may treat smaller ones as 0. */
const LEAST = 2 ** -126;

/**
 * The gate u = softmax_k(y/τ): the share of each unit at each position, with Σ_k u = 1. τ → 0 is winner-take-all; units
 * with the same largest y share. τ → ∞ gives equal shares.
 *
 * @param post y: [P, K], finite.
 * @param temperature τ > 0.
 * @returns The gate. If the backend computes it on the way, also its overlap with y, for a rule whose reconstruction is
 * y.
 * @throws ConfigurationError `BAD_VALUE` for a temperature that is not a finite number above 0; DataError
 * `EMPTY_TENSOR` for no positions or no units.
 */
export function softmaxCompetition(
  post: tf.Tensor2D,
  temperature: number,
): Pick<GateResult<never>, 'gate' | 'overlap'> {
  checkNumber('The temperature of a competition', temperature, { above: 0 });
  checkNotEmpty('A competition', { post });
  // Where float32 cannot hold τ or 1/τ, y and τ are multiplied by a power of two first. Beyond the bounds the gate is
  // the limit: differences of y, at least 2⁻¹⁴⁹ and then 2⁻²³, are over 100 times τ, or y, then under 4, does not
  // change it.
  if (temperature < LEAST) {
    return { gate: softmaxCompetition(tf.mul(behind(post), 1 / LEAST), Math.max(temperature / LEAST, 2 ** -100)).gate };
  }
  if (temperature >= 1 / LEAST) {
    return { gate: softmaxCompetition(tf.mul(post, LEAST), Math.min(temperature * LEAST, 2 ** 100)).gate };
  }
  if (!hasKernel(COMPETITION)) {
    // Divided by τ < 1, a large y would overflow.
    return { gate: tf.softmax(tf.div(temperature < 1 ? behind(post) : post, temperature)) };
  }
  const outputs = tf.engine().runKernel(COMPETITION, { x: post }, { temperature }) as unknown as tf.Tensor[];
  return { gate: outputs[0] as tf.Tensor2D, overlap: outputs[1] as tf.Tensor1D };
}

/** y − max y: [P, K]. */
function behind(post: tf.Tensor2D): tf.Tensor2D {
  return tf.sub(post, tf.max(post, 1, true));
}
