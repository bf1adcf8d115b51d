/** Registers the layers of this package with TensorFlow.js, so that a saved model finds them. */
import { serialization } from '@tensorflow/tfjs-core';
import { BatchNorm } from './batch-norm.js';
import { Dropout } from './dropout.js';
import { ReflectionPad2d } from './reflection-pad.js';
import { Repu } from './repu.js';
import { Triangle } from './triangle.js';

/**
 * Registers the layers of this package with TensorFlow.js: call it before `tf.loadLayersModel` if a saved model
 * contains one. Building and saving need no registration. Repeated calls have no effect.
 */
export function register(): void {
  for (const layer of [BatchNorm, Dropout, ReflectionPad2d, Repu, Triangle]) serialization.registerClass(layer);
}
