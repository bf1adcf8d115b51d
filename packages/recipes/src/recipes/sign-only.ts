/** The sign of the gradient alone, at GHL's step size. */
import { constant, threeFactor } from '@ghl/core';
import type { Assignment } from '@ghl/learner';
import { sign } from '@ghl/modulator-sign';
import { assignment, type Recipe, type RecipeOptions } from '../recipe.js';

/**
 * The sign alone, `threeFactor(constant(), sign())`, at the same η as GHL. Its step is about ten times as long: GHL's
 * largest entry is 1, and the mean one near 0.1.
 *
 * @throws ConfigurationError `UNKNOWN_OPTION`, `BAD_VALUE`.
 * @example
 * ```ts
 * import { plasticOptimizer } from '@ghl/learner';
 * import { deepHebbSmall, networks } from '@ghl/models';
 * import { signOnly } from '@ghl/recipes';
 * import '@tensorflow/tfjs-backend-cpu';
 *
 * const model = deepHebbSmall({ inputShape: [32, 32, 3], classes: 10 });
 * const assignment = signOnly({ ...networks['deephebb-small'].constants, steps: 1000 });
 * model.compile({ optimizer: plasticOptimizer(model, assignment), loss: 'categoricalCrossentropy' });
 * console.log(Object.keys(assignment));
 * // => [ 'conv1', 'conv2', 'conv3', '*' ]
 * ```
 */
export function signOnly(options: RecipeOptions): Assignment {
  return assignment('signOnly', options, () => threeFactor(constant(), sign()));
}

/** signOnly by name. */
export const recipe: Recipe = {
  name: 'signOnly',
  describe: 'the sign of the gradient at the step size of ghl',
  assign: signOnly,
};
