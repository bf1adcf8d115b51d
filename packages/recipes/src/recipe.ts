/**
 * The shapes of a recipe: one phase of any length, or a protocol with its own phases. The usual phase is a product for
 * the layers that compete, and gradient descent for all other weights.
 */
import {
  ConfigurationError,
  chain,
  cosine,
  decayWeights,
  gradientDescent,
  type Json,
  join,
  type Plasticity,
  type Schedule,
  scaleBy,
} from '@ghl/core';
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

/** Options of a phase of a protocol: the constants of the network, and the length of the phase. */
export interface PhaseOptions extends RecipeOptions {
  /** Updates in the phase. Its optimizer counts from 0. */
  readonly steps: number;
  /** Passes over the training images in the phase; each has `steps / epochs` updates. */
  readonly epochs: number;
}

/** A phase of a protocol: an assignment that trains the model for some epochs. */
export interface ProtocolPhase {
  /** Passes over the training images, as published. */
  readonly epochs: number;
  /** Images per step. */
  readonly batch: number;
  /** Name of the loss. Default: `categoricalCrossentropy`. */
  readonly loss?: string;
  /** Ends the phase after this number of epochs without a better validation accuracy. Default: never. */
  readonly patience?: number;
  /**
   * The assignment for `plasticOptimizer`; null freezes a layer.
   *
   * @throws ConfigurationError, as the parts of the assignment.
   */
  readonly assign: (options: PhaseOptions) => Assignment;
}

/** A published training: how it changes network and images, and its phases in order. */
export interface Protocol {
  /** Options for the function that builds the network, in addition to shape, classes and seed. */
  readonly network?: Readonly<Record<string, Json>>;
  /** Options for the function that loads the images, in addition to the sizes of the parts. */
  readonly data?: Readonly<Record<string, Json>>;
  /** At least one. */
  readonly phases: readonly [ProtocolPhase, ...ProtocolPhase[]];
}

interface NamedRecipe {
  /** Its key in the record of all recipes. */
  readonly name: string;
  /** One line for lists. */
  readonly describe: string;
}

/** A recipe of one phase, for any number of epochs and any batch. */
export interface OnePhaseRecipe extends NamedRecipe {
  /**
   * The assignment for `plasticOptimizer`.
   *
   * @throws ConfigurationError `UNKNOWN_OPTION`, `BAD_VALUE`.
   */
  readonly assign: (options: RecipeOptions) => Assignment;
}

/** A recipe with a published protocol. */
export interface ProtocolRecipe extends NamedRecipe {
  /** Its phases, network options and data options. */
  readonly protocol: Protocol;
}

/** A recipe by name. */
export type Recipe = OnePhaseRecipe | ProtocolRecipe;

/**
 * A step size for a phase of a protocol: constant within an epoch.
 *
 * @param sizeOf The step size of an epoch, from 0, in a phase of `epochs`.
 * @example
 * ```ts
 * import { byEpoch } from '@ghl/recipes';
 * import '@tensorflow/tfjs-backend-cpu';
 *
 * // 4 epochs of 10 steps; the second half learns at half the step.
 * const step = byEpoch({ epochs: 4, steps: 40 }, (epoch, epochs) => (2 * epoch < epochs ? 0.1 : 0.05));
 * console.log(step(19), step(20));
 * // => 0.1 0.05
 * ```
 */
export function byEpoch(
  { steps, epochs }: Pick<PhaseOptions, 'steps' | 'epochs'>,
  sizeOf: (epoch: number, epochs: number) => number,
): Schedule {
  const values = Array.from({ length: epochs }, (_, epoch) => sizeOf(epoch, epochs));
  const starts = values.flatMap((value, epoch) => (epoch > 0 && value === values[epoch - 1] ? [] : [epoch]));
  return join(
    starts.map((epoch) => values[epoch] as number),
    starts.slice(1).map((epoch) => Math.round((epoch * steps) / epochs)),
  );
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
