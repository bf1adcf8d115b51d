/**
 * Hyperparameters: a number, or a schedule, which is a function from the step to a number. Schedules run in JavaScript
 * once per update, so nothing is read from the device.
 */
import { checkNumber } from './checks.js';
import { ConfigurationError } from './errors.js';
import { type Spec, type Specified, specOf } from './spec.js';

/** `step => value`, step = 0 at the first update. A factory's schedule carries its `spec`. */
export interface Schedule {
  (step: number): number;
  /** How to rebuild it; absent from a plain function, which can then not be rebuilt. */
  readonly spec?: Spec;
}

/** A number, or a schedule of it. */
export type Hyperparameter = number | Schedule;

/**
 * The value of a hyperparameter at a step.
 *
 * @throws ConfigurationError `BAD_VALUE` for a schedule that gives no number. One that gives NaN makes an increment that is
 * not finite, and is found as such.
 */
export function at(hyperparameter: Hyperparameter, step: number): number {
  if (typeof hyperparameter === 'number') return hyperparameter;
  const value = hyperparameter(step);
  if (typeof value === 'number') return value;
  throw new ConfigurationError('BAD_VALUE', `A schedule gave ${String(value)} at step ${step}.`, {
    help: 'return a number for every step from 0 on.',
  });
}

/**
 * Cosine decay to zero: `peak/2 · (1 + cos(π · min(t, steps)/steps))`, t = 0 at the first update. As PyTorch's
 * `CosineAnnealingLR` with `T_max = steps`, stepped once an update.
 *
 * @param peak Value at t = 0.
 * @param steps Updates until it reaches 0; at least 1.
 * @throws ConfigurationError `BAD_VALUE`.
 */
export function cosine(peak: number, steps: number): Schedule & Specified {
  checkNumber('cosine peak', peak);
  checkNumber('cosine steps', steps, { least: 1 });
  const schedule = (t: number) => (peak / 2) * (1 + Math.cos((Math.PI * Math.min(t, steps)) / steps));
  return Object.assign(schedule, { spec: specOf('cosine', peak, steps) });
}
