/**
 * Filter gradients of several cotangents: one after the other, since TensorFlow's kernel on a CPU is quicker twice than
 * once with all channels side by side (DeepHebb's layers: 1.17 to 1.5 times). On a GPU nothing was measured, and the
 * cotangents are concatenated as on any backend without this kernel.
 */
import { FILTER_GRADIENTS } from '@ghl/core/backend';
import * as tf from '@tensorflow/tfjs-core';
import { type Kernel, runKernel } from './kernel.js';

export const filterGradients: Kernel = {
  name: FILTER_GRADIENTS,
  cpuOnly: true,
  run({ inputs: { x, ...cotangents }, attrs }) {
    return Object.keys(cotangents).map((_, i) =>
      runKernel(tf.Conv2DBackpropFilter, { x: x!, dy: cotangents[`dy${i}`]! }, attrs),
    );
  },
};
