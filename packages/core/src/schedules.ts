/** Schedules: linear, exponential and piecewise values, schedules in sequence, and variables. */
import { checkNumber } from './checks.js';
import { ConfigurationError } from './errors.js';
import { number, readOptions } from './options.js';
import { checkHyperparameter, type Hyperparameter, type Schedule, valueAt } from './schedule.js';
import { type Json, type Spec, type Specified, specOf } from './spec.js';

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
 * `start · factorⁿ`, where n is the number of boundaries that t has reached. As PyTorch's `MultiStepLR`, stepped once
 * per update. For pieces of any value, see {@link join}.
 *
 * @param start Value before the first boundary.
 * @param factor The ratio of each piece to the one before.
 * @param boundaries Whole numbers of updates, increasing, above 0.
 * @throws ConfigurationError `BAD_VALUE`.
 * @example
 * ```ts
 * import { piecewise } from '@ghl/core';
 * import '@tensorflow/tfjs-backend-cpu';
 *
 * const schedule = piecewise(8, 0.5, [10, 17]);
 * console.log(schedule(9), schedule(10), schedule(17));
 * // => 8 4 2
 * ```
 */
export function piecewise(start: number, factor: number, boundaries: readonly number[]): NamedSchedule {
  checkNumber('piecewise start', start);
  checkNumber('piecewise factor', factor);
  checkBoundaries('piecewise', boundaries, 'give the updates at which the value changes: piecewise(0.1, 0.5, [10]).');
  const schedule = (t: number) => start * factor ** boundaries.filter((boundary) => boundary <= t).length;
  return Object.assign(schedule, { spec: specOf('piecewise', start, factor, boundaries) });
}

/** Options of {@link oneCycle}. */
export interface OneCycleOptions {
  /** The share of the updates in which the value rises, in (0, 1). Default 0.3. */
  readonly rise?: number;
  /** The peak ÷ the value at t = 0, above 0. Default 25. */
  readonly startDivisor?: number;
  /** The value at t = 0 ÷ that at t = steps, above 0. Default 1e4. */
  readonly endDivisor?: number;
}

/**
 * One rise and one fall, each half a cosine: from `peak / startDivisor` at t = 0 to the peak at t = rise · steps, then
 * to `peak / (startDivisor · endDivisor)` at t = steps. As optax's `cosine_onecycle_schedule`, and as PyTorch's
 * `OneCycleLR` to within one update.
 *
 * @param peak The largest value.
 * @param steps Updates until the end of the fall; at least 1.
 * @throws ConfigurationError `UNKNOWN_OPTION`, `BAD_VALUE`.
 * @see Smith & Topin, "Super-convergence: very fast training of neural networks using large learning rates", 2018.
 * @example
 * ```ts
 * import { oneCycle } from '@ghl/core';
 * import '@tensorflow/tfjs-backend-cpu';
 *
 * const schedule = oneCycle(1, 100, { rise: 0.5, startDivisor: 4, endDivisor: 2 });
 * console.log(schedule(0), schedule(25), schedule(50), schedule(100));
 * // => 0.25 0.625 1 0.125
 * ```
 */
export function oneCycle(peak: number, steps: number, options: OneCycleOptions = {}): NamedSchedule {
  checkNumber('oneCycle peak', peak);
  checkNumber('oneCycle steps', steps, { least: 1 });
  const { rise, startDivisor, endDivisor } = readOptions('oneCycle', options, {
    rise: number(0.3, { above: 0, below: 1 }),
    startDivisor: number(25, { above: 0 }),
    endDivisor: number(1e4, { above: 0 }),
  });
  const [start, top] = [peak / startDivisor, rise * steps];
  const between = (from: number, to: number, share: number) =>
    from + ((to - from) * (1 - Math.cos(Math.PI * share))) / 2;
  const schedule = (t: number) =>
    t < top ? between(start, peak, t / top) : between(peak, start / endDivisor, Math.min(1, (t - top) / (steps - top)));
  return Object.assign(schedule, { spec: specOf('oneCycle', peak, steps, options) });
}

/** A schedule whose value can be set, by {@link variable}. */
export type Variable = NamedSchedule & {
  /** The present value. */
  readonly value: number;
  /**
   * Sets the value from the next update on.
   *
   * @throws ConfigurationError `BAD_VALUE` unless it is a finite number. A value out of the range of the hyperparameter
   * makes the next step throw.
   */
  set(value: number): void;
};

const variables = new WeakMap<Spec, Variable>();

/**
 * A value that a callback or a training loop sets: `rate.set(rate.value / 2)`. Its spec has the present value, so a
 * model saved with its optimizer continues with it. `getWeights` and `setWeights` of an optimizer save and restore it
 * too.
 *
 * @param initial The first value.
 * @throws ConfigurationError `BAD_VALUE`.
 * @example
 * ```ts
 * import { scaleBy, variable } from '@ghl/core';
 * import '@tensorflow/tfjs-backend-cpu';
 *
 * const rate = variable(0.1);
 * const step = scaleBy(rate);
 * rate.set(0.05);
 * console.log(rate.value, JSON.stringify(step.spec));
 * // => 0.05 {"name":"scaleBy","args":[{"name":"variable","args":[0.05]}]}
 * ```
 */
export function variable(initial: number): Variable {
  checkNumber('variable', initial);
  // Specs of products refer to this list, so that they have the present value.
  const args = [initial];
  const spec: Spec = { name: 'variable', args };
  const schedule = Object.assign(() => args[0] as number, {
    spec,
    set(value: number) {
      checkNumber('variable', value);
      args[0] = value;
    },
  });
  const result = Object.defineProperty(schedule, 'value', { get: () => args[0] }) as typeof schedule & Variable;
  variables.set(spec, result);
  return result;
}

/**
 * The variables in a spec of a product of this process, in the order of the spec. A variable that occurs twice is
 * listed twice: a product that is rebuilt from the JSON of the spec has two variables in its place.
 */
export function variablesIn(spec: Json | Spec): Variable[] {
  if (typeof spec !== 'object' || spec === null) return [];
  const own = variables.get(spec as Spec);
  return own === undefined ? Object.values(spec).flatMap(variablesIn) : [own];
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
  checkBoundaries('join', boundaries, help);
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

function checkBoundaries(schedule: string, boundaries: readonly number[], help: string): void {
  if (!Array.isArray(boundaries))
    throw new ConfigurationError('BAD_VALUE', `${schedule} boundaries is ${String(boundaries)}.`, help);
  for (const [i, boundary] of boundaries.entries()) {
    if (Number.isSafeInteger(boundary) && boundary > (boundaries[i - 1] ?? 0)) continue;
    throw new ConfigurationError('BAD_VALUE', `${schedule} boundary ${i} is ${String(boundary)}.`, help);
  }
}
