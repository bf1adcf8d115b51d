/** Competition between the units of a layer, which several rules are gated by. */
import * as tf from '@tensorflow/tfjs-core';
import { COMPETITION } from './backend.js';

/**
 * u = softmax_k(y/τ): how far each unit wins at each position, Σ_k u = 1. τ → 0 is winner-take-all, τ → ∞ an even share.
 *
 * @param post y: [P, K].
 * @param temperature τ > 0.
 * @returns u: [P, K].
 */
export function competition(post: tf.Tensor2D, temperature: number): tf.Tensor2D {
  if (tf.getKernel(COMPETITION, tf.getBackend()) === undefined) return tf.softmax(tf.div(post, temperature));
  return tf.engine().runKernel(COMPETITION, { x: post }, { temperature }) as tf.Tensor2D;
}
