/** The loss of the supervised layer of Krotov and Hopfield. */
import { checkNumber, checkOptions } from '@ghl/core/plugin';
import * as tf from '@tensorflow/tfjs-core';

/** Options of {@link powerLoss}. */
export interface PowerLossOptions {
  /** The exponent m, above 0. Default 6. */
  readonly power?: number;
}

/**
 * A loss for outputs between −1 and 1: Σ_k abs(c_k − t_k)^m, with t_k = 1 for the class of the example and −1 for all
 * others.
 *
 * @returns A loss for `model.compile`, from one-hot labels and outputs, both [batch, classes], to [batch].
 * @throws ConfigurationError `UNKNOWN_OPTION`, `BAD_VALUE`.
 * @see Krotov and Hopfield, Unsupervised learning by competing hidden units, PNAS 116, 2019.
 * @example
 * ```ts
 * import { powerLoss } from '@ghl/models';
 * import * as tf from '@tensorflow/tfjs-core';
 * import '@tensorflow/tfjs-backend-cpu';
 *
 * const loss = powerLoss({ power: 2 })(tf.tensor2d([[1, 0]]), tf.tensor2d([[0.5, -1]]));
 * console.log(loss.arraySync());
 * // => [ 0.25 ]
 * ```
 */
export function powerLoss(options: PowerLossOptions = {}): (labels: tf.Tensor, outputs: tf.Tensor) => tf.Tensor {
  checkOptions('powerLoss', options, ['power']);
  const { power = 6 } = options;
  checkNumber('powerLoss.power', power, { above: 0 });
  return (labels, outputs) =>
    tf.tidy(() => {
      const targets = tf.sub(tf.mul(labels, 2), 1);
      return tf.sum(tf.pow(tf.abs(tf.sub(outputs, targets)), power), -1);
    });
}
