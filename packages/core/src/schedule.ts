/**
 * Hyperparameters: a number, or a schedule, which is a function from the step to a number. Schedules run in JavaScript
 * once per update, so nothing is read from the device.
 */
import { checkNumber, type NumberRange } from './checks.js';
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
 * Throws unless a hyperparameter is a finite number in range, or a schedule.
 *
 * @param name Its name in messages: `'swta temperature'`.
 * @returns The number, or a schedule with the same values and spec that checks each value: it throws ConfigurationError
 * `BAD_VALUE` at a step whose value is not in range. Use it in place of `value`.
 * @throws ConfigurationError `BAD_VALUE` for a number.
 * @example
 * ```ts
 * import { checkHyperparameter, valueAt } from '@ghl/core/plugin';
 * import '@tensorflow/tfjs-backend-cpu';
 *
 * const rate = checkHyperparameter('rate', (step: number) => 1 / (1 + step), { above: 0 });
 * console.log(valueAt(rate, 0), valueAt(rate, 3));
 * // => 1 0.25
 * ```
 */
export function checkHyperparameter(name: string, value: unknown, range: NumberRange = {}): Hyperparameter {
  if (typeof value === 'function') {
    const schedule = value as Schedule;
    const spec = (specOf(name, schedule).args as unknown as [Spec])[0];
    return Object.assign((step: number) => scheduleValue(schedule, step, name, range), { spec });
  }
  checkNumber(name, value, range);
  return value as number;
}

/**
 * The value of a hyperparameter at a step.
 *
 * @throws ConfigurationError `BAD_VALUE` if a schedule does not return a finite number. A schedule that {@link
 * checkHyperparameter} returned also checks the range.
 */
export function valueAt(hyperparameter: Hyperparameter, step: number): number {
  return typeof hyperparameter === 'number' ? hyperparameter : scheduleValue(hyperparameter, step, 'A schedule', {});
}

function scheduleValue(schedule: Schedule, step: number, name: string, range: NumberRange): number {
  const value: unknown = schedule(step);
  if (value instanceof Promise) value.catch(() => {}); // its own failure would be reported as unhandled
  checkNumber(`${name} at step ${step}`, value, range);
  return value as number;
}

/**
 * Cosine decay to zero: `peak/2 · (1 + cos(π · min(t, steps)/steps))`, t = 0 at the first update. As PyTorch's
 * `CosineAnnealingLR` with `T_max = steps`, stepped once per update.
 *
 * @param peak Value at t = 0.
 * @param steps Updates until it reaches 0; at least 1.
 * @throws ConfigurationError `BAD_VALUE`.
 * @example
 * ```ts
 * import { cosine } from '@ghl/core';
 * import '@tensorflow/tfjs-backend-cpu';
 *
 * const schedule = cosine(0.1, 100);
 * console.log(schedule(0), schedule(50), schedule(100));
 * // => 0.1 0.05 0
 * ```
 */
export function cosine(peak: number, steps: number): Schedule & Specified {
  checkNumber('cosine peak', peak);
  checkNumber('cosine steps', steps, { least: 1 });
  const schedule = (t: number) => (peak / 2) * (1 + Math.cos((Math.PI * Math.min(t, steps)) / steps));
  return Object.assign(schedule, { spec: specOf('cosine', peak, steps) });
}
