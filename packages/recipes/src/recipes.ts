/** Named products: the paper's method, back-propagation, and the ablations that tell what the method owes to what. */
import {
  chain,
  constant,
  cosine,
  decayWeights,
  type GlobalModulator,
  gradientDescent,
  type LocalRule,
  local,
  maxAbs,
  type Plasticity,
  rms,
  scaleBy,
  threeFactor,
} from '@ghl/core';
import { checkNumber, checkOptions } from '@ghl/core/plugin';
import type { Assignment } from '@ghl/learner';
import { sign } from '@ghl/modulator-sign';
import { swta } from '@ghl/rule-swta';
import { constantsOf } from './constants.js';

/** Options of a recipe, in addition to the network. */
export interface RecipeOptions {
  /** Updates in all, over which the step sizes go to 0 along a cosine. */
  readonly steps: number;
}

/** Makes the assignment for one of the networks of `@ghl/models`, by its name. */
export type Recipe = (network: string, options: RecipeOptions) => Assignment;

/** A convolution's head, given its layer's temperature. */
type Head = (temperature: number) => Plasticity;

function assign(network: string, options: RecipeOptions, head: Head): Assignment {
  checkOptions('recipe', options, ['steps']);
  const { steps } = options;
  checkNumber('steps', steps, { least: 1 });
  const { temperatures, convolutionStep, convolutionDecay, restStep } = constantsOf(network);
  const convolutions = Object.entries(temperatures).map(([layer, temperature]) => [
    layer,
    chain(head(temperature), decayWeights(convolutionDecay), scaleBy(cosine(convolutionStep, steps))),
  ]);
  return { ...Object.fromEntries(convolutions), '*': chain(gradientDescent(), scaleBy(cosine(restStep, steps))) };
}

/**
 * GHL: `threeFactor(maxAbs(swta({ temperature })), sign())` for the convolutions, gradient descent for the rest.
 *
 * @throws ConfigurationError `UNKNOWN_NETWORK`, `UNKNOWN_OPTION`, `BAD_VALUE`.
 * @see Hua, Zhao et al., "Hebbian Learning with Global Direction", ICASSP 2026, and its code for the constants.
 */
export const ghl: Recipe = (network, options) =>
  assign(network, options, (temperature) => threeFactor(maxAbs(swta({ temperature })), sign()));

/** Back-propagation on the same network, schedule and decay: `gradientDescent()` everywhere. Throws as {@link ghl}. */
export const backprop: Recipe = (network, options) => assign(network, options, () => gradientDescent());

/**
 * The sign alone, `threeFactor(constant(), sign())`, at the same η as GHL: a step about ten times as long, since GHL's
 * largest entry is 1 and the mean one near 0.1. Throws as {@link ghl}.
 */
export const signOnly: Recipe = (network, options) => assign(network, options, () => threeFactor(constant(), sign()));

/**
 * The sign at GHL's own RMS step, `threeFactor(rms(maxAbs(swta())), sign())`: it shows the value of the local rule's
 * distribution over weights. Throws as {@link ghl}.
 */
export const signMatched: Recipe = (network, options) =>
  assign(network, options, (temperature) => threeFactor(rms(maxAbs(swta({ temperature }))), sign()));

/** The local rule alone, `local(maxAbs(swta()))`, with a classifier by gradient. Throws as {@link ghl}. */
export const localOnly: Recipe = (network, options) =>
  assign(network, options, (temperature) => local(maxAbs(swta({ temperature }))));

/** The recipes by name. */
export const recipes: Readonly<Record<string, Recipe>> = { ghl, backprop, signOnly, signMatched, localOnly };

/** Any rule, and any modulator or none, for {@link product}. */
export interface ProductOptions {
  /** The rule, or a function from the layer's temperature to it. */
  readonly rule: LocalRule | ((temperature: number) => LocalRule);
  /** The third factor; null for none. */
  readonly modulator: GlobalModulator | null;
  /** Whether the rule's ΔW is left as it is. Default false: wrapped in `maxAbs`, so that step sizes compare. */
  readonly raw?: boolean;
}

/**
 * A recipe of any rule × modulator, in the same chain as the named ones.
 *
 * @throws ConfigurationError as {@link ghl} and `threeFactor`.
 */
export function product({ rule, modulator, raw = false }: ProductOptions): Recipe {
  return (network, options) =>
    assign(network, options, (temperature) => {
      const bare = typeof rule === 'function' ? rule(temperature) : rule;
      const factor = raw ? bare : maxAbs(bare);
      return modulator === null ? local(factor) : threeFactor(factor, modulator);
    });
}
