/**
 * The gradient of ReLU in TensorFlow's one kernel for it. TensorFlow.js takes seven, through a gradient that is the same for
 * every backend: it is replaced by one that calls ours where the backend has it.
 */
import { fuses } from '@ghl/core';
import * as tf from '@tensorflow/tfjs-core';
import { type Kernel, runKernel } from './kernel.js';

/** ∂x = ∂y where y > 0, else 0; inputs `dy`, `y`. */
export const reluGradient: Kernel = {
  name: 'GhlTensorFlowReluGrad',
  run: ({ inputs: { dy, y }, backend }) =>
    backend.executeSingleOutput(
      'ReluGrad',
      [{ name: 'T', type: backend.binding.TF_ATTR_TYPE, value: backend.binding.TF_FLOAT }],
      [dy!, y!],
    ),
};

const { name } = reluGradient;

/** Replaces the gradient, if TensorFlow.js has it yet; returns what puts it back. */
export function replaceReluGradient(): () => void {
  const stock = tf.getGradient(tf.Relu);
  if (stock === undefined) return () => {};
  const run = (dy: tf.Tensor, y: tf.Tensor) => runKernel(name, { dy, y });
  const ours: tf.GradConfig = {
    kernelName: tf.Relu,
    outputsToSave: [true],
    // The output has the sign of the input, so a gradient that reads the input's can read it.
    gradFunc: (dy, saved, attrs) =>
      fuses(name) && saved[0]!.dtype === 'float32'
        ? { x: () => run(dy as tf.Tensor, saved[0]!) }
        : stock.gradFunc(dy, saved, attrs),
  };
  const second: tf.GradConfig = {
    kernelName: name,
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
    tf.unregisterGradient(name);
    // Importing gradients since has put TensorFlow.js's back.
    if (tf.getGradient(tf.Relu) === ours) set(stock);
  };
}
