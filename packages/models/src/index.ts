/** The paper's networks as TensorFlow.js models, and the layers for them that tfjs-layers lacks. */
import './codes.js';

export { type BatchNormOptions, batchNorm } from './batch-norm.js';
export { type DropoutOptions, dropout } from './dropout.js';
export type { LayerOptions } from './layer.js';
export type {
  Network,
  NetworkBuilder,
  NetworkConstants,
  NetworkOptions,
  Protocol,
  PublishedResults,
} from './network.js';
export * from './networks/index.js';
export { type ReflectionPad2dOptions, reflectionPad2d } from './reflection-pad.js';
export { register } from './register.js';
export { type RepuOptions, repu } from './repu.js';
export { type TriangleOptions, triangle } from './triangle.js';
