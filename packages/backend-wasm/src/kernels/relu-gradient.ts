/**
 * The gradient of ReLU in one kernel. TensorFlow.js takes three, through a gradient that is the same for every backend: it
 * is replaced by one that calls ours where the backend has it. That takes ReLU's output, which the next layer keeps anyway,
 * in place of its input; they have the same sign.
 */
import { fuses } from '@ghl/core';
import * as tf from '@tensorflow/tfjs-core';
import { reluGradient } from './element-wise.js';

const { name } = reluGradient;

function run(dy: tf.Tensor, y: tf.Tensor): tf.Tensor {
  return tf.engine().runKernel(name, { dy, y }) as tf.Tensor;
}

/** Replaces the gradient, if TensorFlow.js has it yet; returns what puts it back. */
export function replaceReluGradient(): () => void {
  const stock = tf.getGradient(tf.Relu);
  if (stock === undefined) return () => {};
  const ours: tf.GradConfig = {
    kernelName: tf.Relu,
    outputsToSave: [true],
    gradFunc: (dy, saved, attrs) =>
      fuses(name) ? { x: () => run(dy as tf.Tensor, saved[0]!) } : stock.gradFunc(dy, saved, attrs),
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
