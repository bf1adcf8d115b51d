/**
 * For authors of rules, modulators and transforms: the contracts, functions to compute with, and checks of options.
 */
export type { Operation } from './backend/kernels.js';
export { checkBoolean, checkChoice, checkNotEmpty, checkNumber, checkOptions, type NumberRange } from './checks.js';
export { columnDots } from './column-dots.js';
export type { Plugin } from './descriptor.js';
export { nearest, unknownName } from './errors.js';
export {
  type GateResult,
  type LocalContext,
  ruleName,
  type Scope,
  statelessRule,
  type Wrapper,
  type WrapperContext,
  type WrapResult,
  wrap,
} from './local-rule.js';
export {
  type ActivityContext,
  type ActivityFactorResult,
  type FactorResult,
  type ModulatorContext,
  type PerActivityModulator,
  type PerExampleModulator,
  statelessModulator,
  type WeightModulator,
} from './modulator.js';
export { choice, flag, hyperparameter, number, type OptionReader, readOptions, whole } from './options.js';
export { type BaselineState, initBaseline, type PredictionError, predictionError } from './prediction-error.js';
export { checkHyperparameter, valueAt } from './schedule.js';
export { hardCompetition, softmaxCompetition } from './softmax-competition.js';
export { isSpec, specOf } from './spec.js';
export type { Stateless, StateTree } from './state.js';
export { type IncrementResult, statelessTransform, type TransformContext } from './transform.js';
export type { Units } from './units.js';
