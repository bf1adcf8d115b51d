/** GHL with steps of equal size for all units. */
import { maxAbs, normalizeUnits, threeFactor } from '@ghl/core';
import type { Assignment } from '@ghl/learner';
import { sign } from '@ghl/modulator-sign';
import { swta } from '@ghl/rule-swta';
import { assignment, type Recipe, type RecipeOptions } from '../recipe.js';

/**
 * GHL with each unit's ΔW divided by its root mean square, at the RMS step of {@link ghl}:
 * `threeFactor(normalizeUnits(maxAbs(swta())), sign())`. The local rule decides how a step is spread over the weights
 * of a unit; its competition does not decide how far each unit moves.
 *
 * @throws ConfigurationError `UNKNOWN_OPTION`, `BAD_VALUE`.
 * @example
 * ```ts
 * import { plasticOptimizer } from '@ghl/learner';
 * import { deepHebbSmall, networks } from '@ghl/models';
 * import { ghlUnit } from '@ghl/recipes';
 * import '@tensorflow/tfjs-backend-cpu';
 *
 * const model = deepHebbSmall({ inputShape: [32, 32, 3], classes: 10 });
 * const assignment = ghlUnit({ ...networks['deephebb-small'].constants, steps: 1000 });
 * model.compile({ optimizer: plasticOptimizer(model, assignment), loss: 'categoricalCrossentropy' });
 * console.log(Object.keys(assignment));
 * // => [ 'conv1', 'conv2', 'conv3', '*' ]
 * ```
 */
export function ghlUnit(options: RecipeOptions): Assignment {
  return assignment('ghlUnit', options, (temperature) =>
    threeFactor(normalizeUnits(maxAbs(swta({ temperature }))), sign()),
  );
}

/** ghlUnit by name. */
export const recipe: Recipe = {
  name: 'ghlUnit',
  describe: 'ghl with steps of equal size for all units',
  assign: ghlUnit,
};
