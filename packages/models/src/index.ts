/** The paper's networks as TensorFlow.js models, and the layers for them that tfjs-layers lacks. */
import './codes.js';

export { type BatchNormOptions, batchNorm } from './batch-norm.js';
export { type DropoutOptions, dropout } from './dropout.js';
export type { LayerOptions } from './layer.js';
export {
  deepHebb,
  deepHebbSmall,
  fastHebb,
  fastHebbSmall,
  type NetworkBuilder,
  type NetworkOptions,
  networks,
} from './networks.js';
export { register } from './register.js';
export { type TriangleOptions, triangle } from './triangle.js';
