/** Back-propagation, with the schedule and decay of GHL. */
import { gradientDescent } from '@ghl/core';
import type { Assignment } from '@ghl/learner';
import { assignment, type Recipe, type RecipeOptions } from '../recipe.js';

/**
 * Back-propagation on the same network, schedule and decay as {@link ghl}: `gradientDescent()` everywhere.
 *
 * @throws ConfigurationError `UNKNOWN_OPTION`, `BAD_VALUE`.
 * @example
 * ```ts
 * import { plasticOptimizer } from '@ghl/learner';
 * import { deepHebbSmall, networks } from '@ghl/models';
 * import { backprop } from '@ghl/recipes';
 * import '@tensorflow/tfjs-backend-cpu';
 *
 * const model = deepHebbSmall({ inputShape: [32, 32, 3], classes: 10 });
 * const assignment = backprop({ ...networks['deephebb-small'].constants, steps: 1000 });
 * model.compile({ optimizer: plasticOptimizer(model, assignment), loss: 'categoricalCrossentropy' });
 * console.log(Object.keys(assignment));
 * // => [ 'conv1', 'conv2', 'conv3', '*' ]
 * ```
 */
export function backprop(options: RecipeOptions): Assignment {
  return assignment('backprop', options, () => gradientDescent());
}

/** backprop by name. */
export const recipe: Recipe = {
  name: 'backprop',
  describe: 'the gradient, with the schedule and decay of ghl',
  assign: backprop,
};
