/** GHL, the paper's method. */
import { maxAbs, threeFactor } from '@ghl/core';
import type { Assignment } from '@ghl/learner';
import { sign } from '@ghl/modulator-sign';
import { swta } from '@ghl/rule-swta';
import { assignment, type Recipe, type RecipeOptions } from '../recipe.js';

/**
 * GHL: `threeFactor(maxAbs(swta({ temperature })), sign())` for the layers in `temperatures`, gradient descent for all
 * other weights.
 *
 * @throws ConfigurationError `UNKNOWN_OPTION`, `BAD_VALUE`.
 * @see Hua, Zhao et al., "Hebbian Learning with Global Direction", ICASSP 2026, and its code for the constants.
 * @example
 * ```ts
 * import { plasticOptimizer } from '@ghl/learner';
 * import { deepHebbSmall, networks } from '@ghl/models';
 * import { ghl } from '@ghl/recipes';
 * import '@tensorflow/tfjs-backend-cpu';
 *
 * const model = deepHebbSmall({ inputShape: [32, 32, 3], classes: 10 });
 * const assignment = ghl({ ...networks['deephebb-small'].constants, steps: 1000 });
 * model.compile({ optimizer: plasticOptimizer(model, assignment), loss: 'categoricalCrossentropy' });
 * console.log(Object.keys(assignment));
 * // => [ 'conv1', 'conv2', 'conv3', '*' ]
 * ```
 */
export function ghl(options: RecipeOptions): Assignment {
  return assignment('ghl', options, (temperature) => threeFactor(maxAbs(swta({ temperature })), sign()));
}

/** ghl by name. */
export const recipe: Recipe = {
  name: 'ghl',
  describe: 'soft winner-take-all times the sign of the gradient',
  assign: ghl,
};
