/** Three-factor learning on any TensorFlow.js LayersModel. */
export type { Assignment, Mover } from './assignment.js';
export { layerwise } from './layerwise.js';
export { PlasticityOptimizer, type StepOptions } from './optimizer.js';
export { plasticity } from './plasticity.js';
export { register } from './register.js';
export type { SignalInput, SignalInputs } from './signals.js';
export type { LayerStatistics } from './statistics.js';
export type { ForwardPass } from './step.js';
