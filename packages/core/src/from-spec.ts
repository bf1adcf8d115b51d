/** Builds a product from its spec. */

import { adam } from './adam.js';
import { clipByNorm, clipByValue } from './clip.js';
import { bounds, dale, keepZeros, unitNorm } from './constraints.js';
import { ConfigurationError, unknownName } from './errors.js';
import { lion } from './lion.js';
import { constant, presynaptic } from './local-rule.js';
import { momentum } from './momentum.js';
import { maxAbs, normalizeUnits, rms } from './normalize.js';
import { permuted } from './permuted.js';
import { chain, gradientDescent, local, sum, threeFactor } from './plasticity.js';
import { power } from './power.js';
import { cosine } from './schedule.js';
import { exponential, join, linear, oneCycle, piecewise, variable, warmUp } from './schedules.js';
import { type Factory, isSpec, type Json, type Spec } from './spec.js';
import { ema, trace } from './trace.js';
import { decayWeights, scaleBy } from './transform.js';
import { unitStep } from './unit-step.js';

const ofCore: Readonly<Record<string, Factory>> = {
  adam,
  bounds,
  chain,
  clipByNorm,
  clipByValue,
  constant,
  cosine,
  dale,
  decayWeights,
  ema,
  exponential,
  gradientDescent,
  join,
  keepZeros,
  linear,
  lion,
  local,
  maxAbs,
  momentum,
  normalizeUnits,
  oneCycle,
  permuted,
  piecewise,
  power,
  presynaptic,
  rms,
  scaleBy,
  sum,
  threeFactor,
  trace,
  unitNorm,
  unitStep,
  variable,
  warmUp,
};

/** Present names of the core's factories, by the names in older recorded specs. */
const formerNames: ReadonlyMap<string, string> = new Map([['gradient', 'gradientDescent']]);

/**
 * A spec, or any JSON that holds specs, with each former name of a factory of the core replaced by its present name.
 */
export function currentSpec(value: Json): Json {
  if (Array.isArray(value)) return value.map(currentSpec);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).map(([key, each]) => [key, currentSpec(each)]);
  const renamed = Object.fromEntries(entries) as { readonly [key: string]: Json };
  const present = isSpec(value) ? formerNames.get(value.name) : undefined;
  return present === undefined ? renamed : { ...renamed, name: present };
}

/**
 * Builds the product that a spec describes: `fromSpec(product.spec, { swta, sign })` is equal to `product`.
 *
 * @param plugins Factories by their name in the spec; those of `@ghl/core` are known.
 * @throws ConfigurationError `BAD_SPEC` unless `spec` has a name and arguments, `UNKNOWN_FACTORY` for a name that
 * neither `plugins` nor the core has, `UNNAMED_FUNCTION` for a schedule that was written as a plain function, which
 * JSON cannot hold.
 * @example
 * ```ts
 * import { fromSpec, type LocalRule } from '@ghl/core';
 * import { swta } from '@ghl/rule-swta';
 * import '@tensorflow/tfjs-backend-cpu';
 *
 * const { spec } = swta({ temperature: 0.5 });
 * console.log(JSON.stringify(spec));
 * // => {"name":"swta","args":[{"temperature":0.5}]}
 * const rule = fromSpec<LocalRule>(spec, { swta });
 * console.log(rule.spec.name);
 * // => swta
 * ```
 */
export function fromSpec<T = unknown>(spec: Spec, plugins: Readonly<Record<string, Factory>> = {}): T {
  if (!isSpec(spec as unknown as Json)) {
    throw new ConfigurationError(
      'BAD_SPEC',
      `${JSON.stringify(spec)} is not a spec.`,
      'give the `spec` of a product, or the JSON of it: { name, args }.',
    );
  }
  const factories = { ...ofCore, ...plugins };
  const build = (value: Json): unknown => {
    if (Array.isArray(value)) return value.map(build);
    if (typeof value !== 'object' || value === null) return value;
    if (!isSpec(value)) return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, build(each)]));
    if (value.name === 'function') {
      throw new ConfigurationError(
        'UNNAMED_FUNCTION',
        `A plain function cannot be rebuilt: ${value.args[0]}`,
        'use a schedule factory such as cosine(peak, steps), or give the function a `spec` and pass its factory.',
      );
    }
    // A plugin may have a name that the core has given up.
    const name = Object.hasOwn(factories, value.name) ? value.name : (formerNames.get(value.name) ?? value.name);
    const factory = Object.hasOwn(factories, name) ? factories[name] : undefined;
    if (factory === undefined) {
      const { summary, help } = unknownName('factory', name, Object.keys(factories));
      const remedy = `Pass the factory by its name: fromSpec(spec, { ${name} }) or register({ ${name} }).`;
      throw new ConfigurationError('UNKNOWN_FACTORY', summary, `${help} ${remedy}`);
    }
    return factory(...(value.args.map(build) as never[]));
  };
  return build(spec as unknown as Json) as T;
}
