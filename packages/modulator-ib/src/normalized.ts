/** LayerNorm(ReLU(y)), and the way back from its output to y. */
import * as tf from '@tensorflow/tfjs-core';

/** The ε of the published code. */
const EPSILON = 1e-6;

/**
 * z = LayerNorm(ReLU(y)) over the units of each position, without scale and shift.
 *
 * @param post y: [P, K].
 * @returns z, and the function from a gradient with respect to z to the one with respect to y: [P, K].
 */
export function normalized(post: tf.Tensor2D): {
  readonly z: tf.Tensor2D;
  toInput(gradient: tf.Tensor): tf.Tensor2D;
} {
  const mean = (values: tf.Tensor) => tf.mean(values, 1, true);
  const positive = tf.relu(post);
  const centred = tf.sub(positive, mean(positive));
  const deviation = tf.sqrt(tf.add(mean(tf.square(centred)), EPSILON));
  const z = tf.div(centred, deviation) as tf.Tensor2D;
  return {
    z,
    toInput(gradient) {
      const level = tf.sub(gradient, mean(gradient));
      const across = tf.sub(level, tf.mul(z, mean(tf.mul(level, z))));
      return tf.mul(tf.div(across, deviation), tf.step(post)) as tf.Tensor2D;
    },
  };
}
