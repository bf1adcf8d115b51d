/** The second phase of a step: the eligibility ΔW of the local rule. */
import * as tf from '@tensorflow/tfjs-core';
import { hasKernel, UPPER_PRODUCT } from '../backend/kernels.js';
import type { Scope } from '../local-rule.js';
import type { LayerGates } from './gates.js';
import type { LayerStep } from './layer-step.js';
import { run, tidyRecord } from './tensors.js';

/**
 * The second phase: ΔW = Xᵀ·G − W·M, kernel-shaped, for each gate that {@link computeIncrement} reads.
 *
 * @param correlated Xᵀ·G of each gate, which a learner forms together with back-propagation's filter gradient.
 */
export function computeEligibilities(
  { connection, kernel }: Pick<LayerStep, 'connection' | 'kernel'>,
  { overlaps, scopes, order }: LayerGates,
  correlated: readonly tf.Tensor[],
): tf.Tensor[] {
  const eligibilities = overlaps.map((m, i) =>
    tidyRecord(() => {
      const hebbian = correlated[i] as tf.Tensor;
      if (m === null) return hebbian;
      const weights = tf.reshape(kernel, [-1, connection.units.fanOut]) as tf.Tensor2D;
      const reconstructed =
        m.rank === 1 ? tf.mul(weights, m) : reconstruct(weights, m as tf.Tensor2D, scopes[i] as Scope);
      return tf.sub(hebbian, tf.reshape(reconstructed, kernel.shape));
    }),
  );
  return order.map((index) => eligibilities[index] as tf.Tensor);
}

/** W·M. M is an upper triangle if units subtract their own and earlier reconstructions. */
function reconstruct(weights: tf.Tensor2D, m: tf.Tensor2D, scope: Scope): tf.Tensor {
  if (scope !== 'earlier' || !hasKernel(UPPER_PRODUCT)) return tf.matMul(weights, m);
  return run(UPPER_PRODUCT, { a: weights, b: m }, { transposeA: false, upper: 'right' });
}
