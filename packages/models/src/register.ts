/** Tells TensorFlow.js of this package's layers, so that a saved model finds them. */
import { serialization } from '@tensorflow/tfjs-core';
import { BatchNorm } from './batch-norm.js';
import { Dropout } from './dropout.js';
import { Triangle } from './triangle.js';

/**
 * Registers the layers of this package with TensorFlow.js: call it before `tf.loadLayersModel` where a saved model
 * holds one. Building and saving need no registration. Any number of calls is as good as one.
 */
export function register(): void {
  for (const layer of [BatchNorm, Dropout, Triangle]) serialization.registerClass(layer);
}
