/**
 * The gradient of ReLU in one kernel of a backend. TensorFlow.js runs several kernels, in a gradient that is the same
 * for every backend. The replacement calls the kernel of the backend if there is one. It needs the output of ReLU,
 * which the next layer keeps anyway, instead of the input; both have the same sign.
 */
import * as tf from '@tensorflow/tfjs-core';
import { hasKernel } from './kernels.js';

/**
 * Replaces the gradient if TensorFlow.js has loaded it. `activate()` of a backend calls it.
 *
 * @param kernel The name of the backend's kernel: ∂x = ∂y if y > 0, else 0; inputs `dy`, `y`, float32. No two backends
 * share a name, because each removes its own kernel.
 * @returns A function that restores the previous gradient.
 */
export function replaceReluGradient(kernel: string): () => void {
  const stock = tf.getGradient(tf.Relu);
  if (stock === undefined) return () => {};
  const run = (dy: tf.Tensor, y: tf.Tensor) => tf.engine().runKernel(kernel, { dy, y }) as tf.Tensor;
  const ours: tf.GradConfig = {
    kernelName: tf.Relu,
    outputsToSave: [true],
    gradFunc: (dy, saved, attrs) =>
      hasKernel(kernel) && saved[0]!.dtype === 'float32'
        ? { x: () => run(dy as tf.Tensor, saved[0]!) }
        : stock.gradFunc(dy, saved, attrs),
  };
  const second: tf.GradConfig = {
    kernelName: kernel,
    inputsToSave: ['y'],
    gradFunc: (ddx, [y]) => ({ dy: () => run(ddx as tf.Tensor, y!), y: () => tf.zerosLike(y!) }),
  };
  const set = (config: tf.GradConfig) => {
    if (tf.getGradient(config.kernelName) !== undefined) tf.unregisterGradient(config.kernelName);
    tf.registerGradient(config);
  };
  set(ours);
  set(second);
  return () => {
    tf.unregisterGradient(kernel);
    // Importing gradients since then has restored that of TensorFlow.js.
    if (tf.getGradient(tf.Relu) === ours) set(stock);
  };
}
