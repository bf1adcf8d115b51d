/** The shape of a recipe: a product for the layers that compete, gradient descent for all other weights. */
import { ConfigurationError, chain, cosine, decayWeights, gradientDescent, type Plasticity, scaleBy } from '@ghl/core';
import { checkNumber, number, type OptionReader, readOptions } from '@ghl/core/plugin';
import type { Assignment } from '@ghl/learner';

/** Options of every recipe. `constants` of a network of `@ghl/models` has all but `steps`. */
export interface RecipeOptions {
  /**
   * Temperature τ of each layer's competition, by layer name. These layers learn by the recipe's product; all other
   * weights descend their gradient.
   */
  readonly temperatures: Readonly<Record<string, number>>;
  /** Peak step size of the layers in `temperatures`. */
  readonly step: number;
  /** Weight decay of these layers, coupled to the step size. */
  readonly decay: number;
  /** Peak step size of all other weights, which have no weight decay. */
  readonly restStep: number;
  /** Updates in the whole training. Over them, the step sizes fall to 0 along a cosine. */
  readonly steps: number;
}

/** A recipe by name. */
export interface Recipe {
  /** Its key in the record of all recipes. */
  readonly name: string;
  /** One line for lists. */
  readonly describe: string;
  /**
   * The assignment for `plasticOptimizer`.
   *
   * @throws ConfigurationError `UNKNOWN_OPTION`, `BAD_VALUE`.
   */
  readonly assign: (options: RecipeOptions) => Assignment;
}

const temperatures: OptionReader<Readonly<Record<string, number>>> = (name, value) => {
  checkLayers(name, value);
  for (const [layer, temperature] of Object.entries(value)) {
    checkNumber(`${name} of layer '${layer}'`, temperature, { above: 0 });
  }
  return value as Readonly<Record<string, number>>;
};

function checkLayers(name: string, value: unknown): asserts value is object {
  if (typeof value === 'object' && value !== null && !Array.isArray(value) && Object.keys(value).length > 0) return;
  throw new ConfigurationError(
    'BAD_VALUE',
    `${name} is ${JSON.stringify(value)}.`,
    'give a temperature for each layer that competes: { conv1: 1 }.',
  );
}

const readers = {
  temperatures,
  step: number(undefined, { least: 0 }),
  decay: number(undefined, { least: 0 }),
  restStep: number(undefined, { least: 0 }),
  steps: number(undefined, { least: 1 }),
};

/**
 * The assignment of a recipe.
 *
 * @param recipe The recipe's name, for messages.
 * @param head Makes the head of a layer from its temperature and its position among the layers.
 */
export function assignment(
  recipe: string,
  options: RecipeOptions,
  head: (temperature: number, index: number) => Plasticity,
): Assignment {
  const { temperatures, step, decay, restStep, steps } = readOptions(recipe, options, readers);
  const layers = Object.entries(temperatures).map(([layer, temperature], index) => [
    layer,
    chain(head(temperature, index), decayWeights(decay), scaleBy(cosine(step, steps))),
  ]);
  return { ...Object.fromEntries(layers), '*': chain(gradientDescent(), scaleBy(cosine(restStep, steps))) };
}
