/** Back-propagation, with the schedule and decay of GHL. */
import { gradientDescent } from '@ghl/core';
import type { Assignment } from '@ghl/learner';
import { assignment, type Recipe, type RecipeOptions } from '../recipe.js';

/**
 * Back-propagation on the same network, schedule and decay as {@link ghl}: `gradientDescent()` everywhere.
 *
 * @throws ConfigurationError `UNKNOWN_OPTION`, `BAD_VALUE`.
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
