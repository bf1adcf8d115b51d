/** `bench list`: everything that the command line can name. */
import { backendNames } from './backends.js';
import { modulatorNames, recipeNames, ruleNames } from './training/recipe.js';
import { datasetNames, networkNames } from './training/workload.js';

/** Names by kind. */
export interface Listing {
  readonly networks: readonly string[];
  readonly recipes: readonly string[];
  readonly rules: readonly string[];
  readonly modulators: readonly string[];
  readonly datasets: readonly string[];
  readonly backends: readonly string[];
}

/** All names. */
export function list(): Listing {
  return {
    networks: networkNames,
    recipes: recipeNames,
    rules: ruleNames,
    modulators: modulatorNames,
    datasets: datasetNames,
    backends: backendNames,
  };
}
