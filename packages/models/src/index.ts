/** The paper's networks as TensorFlow.js models, and the layers for them that tfjs-layers lacks. */
import './codes.js';

export { type BatchNormOptions, batchNorm } from './batch-norm.js';
export { type DivisiveNormOptions, divisiveNorm } from './divisive-norm.js';
export { type DropoutOptions, dropout } from './dropout.js';
export type { LayerOptions } from './layer.js';
export { type LayerNormOptions, layerNorm } from './layer-norm.js';
export type {
  ImageOptions,
  Network,
  NetworkBuilder,
  NetworkConstants,
  NetworkOptions,
  Protocol,
  PublishedResults,
} from './network.js';
export * from './networks/index.js';
export type { OneHiddenOptions } from './one-hidden-layers.js';
export { type PowerLossOptions, powerLoss } from './power-loss.js';
export { type ReflectionPad2dOptions, reflectionPad2d } from './reflection-pad.js';
export { register } from './register.js';
export { type RepuOptions, repu } from './repu.js';
export { type TopFractionOptions, topFraction } from './top-fraction.js';
export { type TriangleOptions, triangle } from './triangle.js';
export { type UnitNormConv2dOptions, unitNormConv2d } from './unit-norm-conv.js';
