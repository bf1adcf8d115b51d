/** The algebra of three-factor learning: local rules, global modulators, and their product on any connection. */
export { type AdamOptions, adam } from './adam.js';
export type { ActiveBackend, BackendAdapter, Support } from './backend/adapter.js';
export { clipByNorm, clipByValue } from './clip.js';
export type { ErrorCode, ErrorCodes } from './codes.js';
export { bounds, dale, keepZeros, type UnitNormOptions, unitNorm } from './constraints.js';
export {
  ConfigurationError,
  DataError,
  GhlError,
  NonFiniteError,
  SignalError,
  StateError,
  UnsupportedError,
} from './errors.js';
export { currentSpec, fromSpec } from './from-spec.js';
export { type LionOptions, lion } from './lion.js';
export { constant, type LocalRule, presynaptic } from './local-rule.js';
export type { GlobalModulator, SignalName, Signals } from './modulator.js';
export { type MomentumOptions, momentum } from './momentum.js';
export { maxAbs, type NormOptions, normalizeUnits, rms } from './normalize.js';
export { permuted } from './permuted.js';
export { chain, gradientDescent, local, type Plasticity, sgd, sum, threeFactor } from './plasticity.js';
export { power } from './power.js';
export { cosine, type Hyperparameter, type Schedule } from './schedule.js';
export {
  exponential,
  join,
  linear,
  type OneCycleOptions,
  oneCycle,
  piecewise,
  type Variable,
  variable,
  warmUp,
} from './schedules.js';
export type { Factory, Json, Spec, Specified } from './spec.js';
export { ema, trace } from './trace.js';
export { decayWeights, scaleBy, type Transform } from './transform.js';
export { type UnitStepOptions, unitStep } from './unit-step.js';
