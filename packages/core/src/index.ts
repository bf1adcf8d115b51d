/** The algebra of three-factor learning: local rules, global modulators, and their product on any connection. */
export * from './backend.js';
export * from './baseline.js';
export {
  checkBoolean,
  checkChoice,
  checkNotEmpty,
  checkNumber,
  checkOptions,
  checkShape,
  type NumberRange,
} from './checks.js';
export * from './competition.js';
export * from './complete-tensorflow.js';
export * from './connection.js';
export * from './convolution-gradient.js';
export * from './engine.js';
export * from './errors.js';
export * from './from-spec.js';
export * from './in-turn.js';
export * from './local-rule.js';
export * from './modulator.js';
export * from './plasticity.js';
export * from './relu-gradient.js';
export * from './schedule.js';
export * from './spec.js';
export * from './state.js';
export * from './step.js';
export * from './transform.js';
