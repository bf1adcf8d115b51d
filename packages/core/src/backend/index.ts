/** For authors of backend adapters: the kernels that they may register, and what their own kernels are checked with. */
export { checkShape } from '../checks.js';
export * from './complete-tensorflow.js';
export * from './convolution-gradient.js';
export {
  ALL_FINITE,
  BATCH_NORM,
  BATCH_NORM_GRADIENT,
  CHOOSE,
  COMPETITION,
  DROPOUT,
  type DropoutAttributes,
  FILTER_GRADIENTS,
  FUSED_UPDATE,
  hasKernel,
  MAX_OPERATIONS,
  OVERLAP,
  UPPER_PRODUCT,
} from './kernels.js';
export * from './mutex.js';
export * from './relu-gradient.js';
