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
