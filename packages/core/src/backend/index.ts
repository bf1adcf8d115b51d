/** For authors of backend adapters: the life cycle of an adapter, the kernels that it may register, and checks. */

export { checkShape } from '../checks.js';
export type { Refusal } from './adapter.js';
export * from './complete-tensorflow.js';
export * from './convolution-gradient.js';
export * from './create-adapter.js';
export {
  ALL_FINITE,
  BATCH_NORM,
  BATCH_NORM_GRADIENT,
  CHOOSE,
  COMPETITION,
  type CompetitionForm,
  DROPOUT,
  type DropoutAttributes,
  FILTER_GRADIENTS,
  FUSED_UPDATE,
  hasKernel,
  MAX_OPERATIONS,
  OVERLAP,
  UPPER_PRODUCT,
} from './kernels.js';
export * from './override-kernels.js';
export * from './relu-gradient.js';
