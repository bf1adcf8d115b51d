/** Numbers for the tests of this package, which cannot use those of `@ghl/conformance`: it depends on this package. */
import * as tf from '@tensorflow/tfjs-core';

/** Numbers in [−1, 1] in row-major order, the same for the same seed. */
export const numbers = (seed: number, shape: readonly number[]): Float32Array =>
  Float32Array.from({ length: shape.reduce((product, size) => product * size, 1) }, (_, i) => Math.sin(seed + 3.7 * i));

/** The numbers as a tensor. */
export const tensor = (seed: number, shape: readonly number[]): tf.Tensor =>
  tf.tensor(numbers(seed, shape), [...shape]);
