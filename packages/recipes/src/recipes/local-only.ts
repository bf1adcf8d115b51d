/** The local rule alone. */
import { local, maxAbs } from '@ghl/core';
import type { Assignment } from '@ghl/learner';
import { swta } from '@ghl/rule-swta';
import { assignment, type Recipe, type RecipeOptions } from '../recipe.js';

/**
 * The local rule alone, `local(maxAbs(swta()))`, with a classifier by gradient.
 *
 * @throws ConfigurationError `UNKNOWN_OPTION`, `BAD_VALUE`.
 * @example
 * ```ts
 * import { plasticOptimizer } from '@ghl/learner';
 * import { deepHebbSmall, networks } from '@ghl/models';
 * import { localOnly } from '@ghl/recipes';
 * import '@tensorflow/tfjs-backend-cpu';
 *
 * const model = deepHebbSmall({ inputShape: [32, 32, 3], classes: 10 });
 * const assignment = localOnly({ ...networks['deephebb-small'].constants, steps: 1000 });
 * model.compile({ optimizer: plasticOptimizer(model, assignment), loss: 'categoricalCrossentropy' });
 * console.log(Object.keys(assignment));
 * // => [ 'conv1', 'conv2', 'conv3', '*' ]
 * ```
 */
export function localOnly(options: RecipeOptions): Assignment {
  return assignment('localOnly', options, (temperature) => local(maxAbs(swta({ temperature }))));
}

/** localOnly by name. */
export const recipe: Recipe = {
  name: 'localOnly',
  describe: 'soft winner-take-all without a third factor',
  assign: localOnly,
};
