/** Competition between the units of a layer, which several rules are gated by. */
import * as tf from '@tensorflow/tfjs-core';
import { COMPETITION, fuses } from './backend.js';
import type { GateResult } from './local-rule.js';

/**
 * The gate u = softmax_k(y/τ): how far each unit wins at each position, Σ_k u = 1. τ → 0 is winner-take-all, τ → ∞ an even
 * share.
 *
 * @param post y: [P, K].
 * @param temperature τ > 0.
 * @returns The gate, and where the backend forms it on the way, its overlap with y, for a rule whose reconstruction is y.
 */
export function competition(post: tf.Tensor2D, temperature: number): Pick<GateResult<never>, 'gate' | 'overlap'> {
  if (!fuses(COMPETITION)) return { gate: tf.softmax(tf.div(post, temperature)) };
  const outputs = tf.engine().runKernel(COMPETITION, { x: post }, { temperature }) as unknown as tf.Tensor[];
  return { gate: outputs[0] as tf.Tensor2D, overlap: outputs[1] as tf.Tensor1D };
}
