/** Registers the layers of this package with TensorFlow.js, so that a saved model finds them. */
import { serialization } from '@tensorflow/tfjs-core';
import { BatchNorm } from './batch-norm.js';
import { DivisiveNorm } from './divisive-norm.js';
import { Dropout } from './dropout.js';
import { LayerNorm } from './layer-norm.js';
import { ReflectionPad2d } from './reflection-pad.js';
import { Repu } from './repu.js';
import { TopFraction } from './top-fraction.js';
import { Triangle } from './triangle.js';
import { UnitNormConv2d } from './unit-norm-conv.js';

const all: readonly Parameters<typeof serialization.registerClass>[0][] = [
  BatchNorm,
  DivisiveNorm,
  Dropout,
  LayerNorm,
  ReflectionPad2d,
  Repu,
  TopFraction,
  Triangle,
  UnitNormConv2d,
];

/**
 * Registers the layers of this package with TensorFlow.js: call it before `tf.loadLayersModel` if a saved model
 * contains one. Building and saving need no registration. Repeated calls have no effect.
 */
export function register(): void {
  for (const layer of all) serialization.registerClass(layer);
}
