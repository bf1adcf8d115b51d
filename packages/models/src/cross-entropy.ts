/** Cross-entropy whose gradient does not vanish where the output is confidently wrong. */
import * as tf from '@tensorflow/tfjs-core';

/**
 * Cross-entropy −Σ_k t_k · log p_k of probabilities p, which the last layer computes by softmax.
 *
 * The `'categoricalCrossentropy'` of TensorFlow.js clips p to [1e-7, 1 − 1e-7], so an example whose own class has p
 * below 1e-7 has no gradient. A classifier with large initial outputs, such as Deep SoftHebb's, then hardly learns.
 * This loss clips p at 1e-37 only: its gradient is that of PyTorch's `CrossEntropyLoss` unless logits differ by more
 * than 85.
 *
 * @returns A loss for `model.compile`, from one-hot labels and probabilities, both [batch, classes], to [batch].
 * @example
 * ```ts
 * import { crossEntropy } from '@ghl/models';
 * import * as tf from '@tensorflow/tfjs-core';
 * import '@tensorflow/tfjs-backend-cpu';
 *
 * const loss = crossEntropy()(tf.tensor2d([[1, 0]]), tf.tensor2d([[Math.exp(-30), 1]]));
 * console.log(Math.round(loss.arraySync() as number));
 * // => 30
 * ```
 */
export function crossEntropy(): (labels: tf.Tensor, outputs: tf.Tensor) => tf.Tensor {
  return (labels, outputs) => tf.tidy(() => tf.neg(tf.sum(tf.mul(labels, tf.log(tf.maximum(outputs, 1e-37))), -1)));
}
