/**
 * Filter gradients of several cotangents, one at a time. On a CPU, two calls of TensorFlow's kernel are faster than one
 * call with all channels concatenated (1.17 to 1.5 times on DeepHebb's layers). A GPU was not measured: there, the
 * engine concatenates the cotangents, as on any backend without this kernel.
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
