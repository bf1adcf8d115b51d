/** Schedules: linear, exponential and piecewise values, and schedules in sequence. */
import { checkNumber } from './checks.js';
import { ConfigurationError } from './errors.js';
import { checkHyperparameter, type Hyperparameter, type Schedule, valueAt } from './schedule.js';
import { type Specified, specOf } from './spec.js';

type NamedSchedule = Schedule & Specified;

/**
 * `from + (to − from) · min(t, steps)/steps`, t = 0 at the first update. As optax's `linear_schedule`.
 *
 * @param from Value at t = 0.
 * @param to Value from t = steps on.
 * @param steps Updates until it reaches `to`; at least 1.
 * @throws ConfigurationError `BAD_VALUE`.
 * @example
 * ```ts
 * import { linear } from '@ghl/core';
 * import '@tensorflow/tfjs-backend-cpu';
 *
 * const schedule = linear(1, 0, 4);
 * console.log(schedule(0), schedule(1), schedule(9));
 * // => 1 0.75 0
 * ```
 */
export function linear(from: number, to: number, steps: number): NamedSchedule {
  checkNumber('linear from', from);
  checkNumber('linear to', to);
  checkNumber('linear steps', steps, { least: 1 });
  const schedule = (t: number) => from + ((to - from) * Math.min(t, steps)) / steps;
  return Object.assign(schedule, { spec: specOf('linear', from, to, steps) });
}

/**
 * `start · rateᵗ`, t = 0 at the first update. As PyTorch's `ExponentialLR`, stepped once per update.
 *
 * @param start Value at t = 0.
 * @param rate Factor from update to update, above 0.
 * @throws ConfigurationError `BAD_VALUE`.
 * @example
 * ```ts
 * import { exponential } from '@ghl/core';
 * import '@tensorflow/tfjs-backend-cpu';
 *
 * const schedule = exponential(8, 0.5);
 * console.log(schedule(0), schedule(1), schedule(3));
 * // => 8 4 1
 * ```
 */
export function exponential(start: number, rate: number): NamedSchedule {
  checkNumber('exponential start', start);
  checkNumber('exponential rate', rate, { above: 0 });
  return Object.assign((t: number) => start * rate ** t, { spec: specOf('exponential', start, rate) });
}

/**
 * Hyperparameters in sequence: the first until update `boundaries[0]`, the second until `boundaries[1]`, and so on. A
 * schedule starts at its own t = 0 when its turn comes. With numbers, this is a step-wise constant.
 *
 * @param parts Numbers or schedules, one more than boundaries.
 * @param boundaries Whole numbers of updates, increasing, above 0.
 * @throws ConfigurationError `BAD_VALUE`.
 * @example
 * ```ts
 * import { join, linear } from '@ghl/core';
 * import '@tensorflow/tfjs-backend-cpu';
 *
 * const schedule = join([0.1, linear(0.1, 0, 10)], [100]);
 * console.log(schedule(99), schedule(100), schedule(105));
 * // => 0.1 0.1 0.05
 * ```
 */
export function join(parts: readonly Hyperparameter[], boundaries: readonly number[]): NamedSchedule {
  const help = 'give hyperparameters, and between each two the number of updates at which the second begins.';
  if (!Array.isArray(parts) || !Array.isArray(boundaries) || parts.length !== boundaries.length + 1) {
    const count = (list: unknown) => (Array.isArray(list) ? String(list.length) : String(list));
    throw new ConfigurationError(
      'BAD_VALUE',
      `join got ${count(parts)} parts and ${count(boundaries)} boundaries.`,
      help,
    );
  }
  const values = parts.map((part, i) => checkHyperparameter(`join part ${i}`, part));
  for (const [i, boundary] of boundaries.entries()) {
    if (Number.isSafeInteger(boundary) && boundary > (boundaries[i - 1] ?? 0)) continue;
    throw new ConfigurationError('BAD_VALUE', `join boundary ${i} is ${String(boundary)}.`, help);
  }
  const schedule = (t: number) => {
    const past = boundaries.filter((boundary) => boundary <= t).length;
    return valueAt(values[past] as Hyperparameter, t - (boundaries[past - 1] ?? 0));
  };
  return Object.assign(schedule, { spec: specOf('join', parts, boundaries) });
}

/**
 * A linear rise before a schedule: `η(0) · (t + 1)/steps` for t < steps, then η from its own t = 0.
 *
 * @param steps Updates of the rise; at least 1.
 * @param after η, a number or a schedule.
 * @throws ConfigurationError `BAD_VALUE`.
 * @see Goyal et al., "Accurate, large minibatch SGD: training ImageNet in 1 hour", 2017.
 * @example
 * ```ts
 * import { cosine, warmUp } from '@ghl/core';
 * import '@tensorflow/tfjs-backend-cpu';
 *
 * const schedule = warmUp(4, cosine(1, 100));
 * console.log(schedule(0), schedule(3), schedule(4), schedule(54));
 * // => 0.25 1 1 0.5
 * ```
 */
export function warmUp(steps: number, after: Hyperparameter): NamedSchedule {
  checkNumber('warmUp steps', steps, { least: 1 });
  const eta = checkHyperparameter('warmUp schedule', after);
  const schedule = (t: number) => (t < steps ? (valueAt(eta, 0) * (t + 1)) / steps : valueAt(eta, t - steps));
  return Object.assign(schedule, { spec: specOf('warmUp', steps, after) });
}
