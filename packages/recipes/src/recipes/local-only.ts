/** The local rule alone. */
import { local, maxAbs } from '@ghl/core';
import type { Assignment } from '@ghl/learner';
import { swta } from '@ghl/rule-swta';
import { assignment, type Recipe, type RecipeOptions } from '../recipe.js';

/**
 * The local rule alone, `local(maxAbs(swta()))`, with a classifier by gradient.
 *
 * @throws ConfigurationError `UNKNOWN_OPTION`, `BAD_VALUE`.
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
