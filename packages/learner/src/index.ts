/** Three-factor learning on any TensorFlow.js LayersModel. */
import './codes.js';

export type { Assignment, Updater } from './assignment.js';
export type { AppliedPart, FrozenPrefix } from './frozen-prefix.js';
export { layerwise } from './layerwise.js';
export { PlasticOptimizer, type StepOptions } from './optimizer.js';
export { plasticOptimizer } from './plastic-optimizer.js';
export { register } from './register.js';
export type { SignalInput, SignalInputs } from './signals.js';
export type { LayerStatistics } from './statistics.js';
export type { ForwardPass } from './train-step.js';
