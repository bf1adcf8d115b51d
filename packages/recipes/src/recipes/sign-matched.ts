/** The sign of the gradient, at GHL's RMS step. */
import { maxAbs, rms, threeFactor } from '@ghl/core';
import type { Assignment } from '@ghl/learner';
import { sign } from '@ghl/modulator-sign';
import { swta } from '@ghl/rule-swta';
import { assignment, type Recipe, type RecipeOptions } from '../recipe.js';

/**
 * The sign at GHL's own RMS step, `threeFactor(rms(maxAbs(swta())), sign())`. It shows the value of the local rule's
 * distribution over weights.
 *
 * @throws ConfigurationError `UNKNOWN_OPTION`, `BAD_VALUE`.
 * @example
 * ```ts
 * import { plasticOptimizer } from '@ghl/learner';
 * import { deepHebbSmall, networks } from '@ghl/models';
 * import { signMatched } from '@ghl/recipes';
 * import '@tensorflow/tfjs-backend-cpu';
 *
 * const model = deepHebbSmall({ inputShape: [32, 32, 3], classes: 10 });
 * const assignment = signMatched({ ...networks['deephebb-small'].constants, steps: 1000 });
 * model.compile({ optimizer: plasticOptimizer(model, assignment), loss: 'categoricalCrossentropy' });
 * console.log(Object.keys(assignment));
 * // => [ 'conv1', 'conv2', 'conv3', '*' ]
 * ```
 */
export function signMatched(options: RecipeOptions): Assignment {
  return assignment('signMatched', options, (temperature) => threeFactor(rms(maxAbs(swta({ temperature }))), sign()));
}

/** signMatched by name. */
export const recipe: Recipe = {
  name: 'signMatched',
  describe: 'the sign of the gradient at the RMS step of ghl',
  assign: signMatched,
};
