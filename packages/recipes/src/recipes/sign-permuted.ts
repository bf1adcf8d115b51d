/** The sign of the gradient, with GHL's magnitudes in random places. */
import { maxAbs, permuted, threeFactor } from '@ghl/core';
import type { Assignment } from '@ghl/learner';
import { sign } from '@ghl/modulator-sign';
import { swta } from '@ghl/rule-swta';
import { assignment, type Recipe, type RecipeOptions } from '../recipe.js';

/**
 * The sign with GHL's own magnitudes, shuffled over the weights of each layer at every step:
 * `threeFactor(permuted(maxAbs(swta()), seed), sign())`, where the seed is the position of the layer. Together with
 * {@link signMatched}, it shows whether a result is due to the distribution of the magnitudes or to their pattern.
 *
 * @throws ConfigurationError `UNKNOWN_OPTION`, `BAD_VALUE`.
 * @example
 * ```ts
 * import { plasticOptimizer } from '@ghl/learner';
 * import { deepHebbSmall, networks } from '@ghl/models';
 * import { signPermuted } from '@ghl/recipes';
 * import '@tensorflow/tfjs-backend-cpu';
 *
 * const model = deepHebbSmall({ inputShape: [32, 32, 3], classes: 10 });
 * const assignment = signPermuted({ ...networks['deephebb-small'].constants, steps: 1000 });
 * model.compile({ optimizer: plasticOptimizer(model, assignment), loss: 'categoricalCrossentropy' });
 * console.log(Object.keys(assignment));
 * // => [ 'conv1', 'conv2', 'conv3', '*' ]
 * ```
 */
export function signPermuted(options: RecipeOptions): Assignment {
  return assignment('signPermuted', options, (temperature, index) =>
    threeFactor(permuted(maxAbs(swta({ temperature })), index), sign()),
  );
}

/** signPermuted by name. */
export const recipe: Recipe = {
  name: 'signPermuted',
  describe: 'the sign of the gradient, with the magnitudes of ghl in random places',
  assign: signPermuted,
};
