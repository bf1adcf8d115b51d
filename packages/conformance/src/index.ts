/** The test kit that every rule, modulator and backend passes: cases as data, for any test runner. */
import './codes.js';

export * from './backend.js';
export { type ConformanceCase, ConformanceError, type Failure, failures } from './case.js';
export * from './local-rule.js';
export { type ModulatorClaims, modulatorCases } from './modulator.js';
export * from './reference.js';
export type { ScheduleClaim } from './schedule.js';
export * from './spec.js';
export * from './trajectory.js';
