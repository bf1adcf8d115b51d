/** Calls of TensorFlow.js that the phases of the engine share. */
import * as tf from '@tensorflow/tfjs-core';
import { ConfigurationError } from '../errors.js';

/** `tf.tidy` for a function that returns a record: frees its intermediates, each as large as the weights. */
export const tidyRecord = <T extends object>(body: () => T): T => tf.tidy(() => body() as never) as T;

/** Runs a kernel with one output by its name. */
export function run(kernel: string, inputs: tf.NamedTensorMap, attrs: object = {}): tf.Tensor {
  return tf.engine().runKernel(kernel, inputs, attrs as tf.NamedAttrMap) as tf.Tensor;
}

/**
 * Compares the shape of a result of a rule, modulator or transform. Broadcasting would turn a wrong shape into a wrong
 * step.
 *
 * @throws ConfigurationError `WRONG_SHAPE`.
 */
export function checkShape(what: string, { shape }: tf.Tensor, expected: readonly number[]): void {
  if (tf.util.arraysEqual(shape, [...expected])) return;
  throw new ConfigurationError(
    'WRONG_SHAPE',
    `The ${what} has the shape [${shape}], not [${expected}].`,
    'a rule gives gates and reconstructions shaped like post, modulators and transforms increments like the weights.',
  );
}
