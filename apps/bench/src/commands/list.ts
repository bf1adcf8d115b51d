/** `bench list`: every name that the command line accepts. */
import { modulatorNames, networkNames, phasesText, recipeNames, ruleNames } from '@ghl/race';
import { type Recipe, recipes } from '@ghl/recipes';
import { datasetNames } from '../files/data.js';
import type { Command } from '../options/command.js';
import { backendNames } from '../platform/backends.js';
import { specText } from '../report/spec-text.js';

const WIDTH = Math.max(12, ...Object.keys(recipes).map((name) => name.length));

/** A recipe with its protocol, if it has one. */
function description(recipe: Recipe): string {
  if ('assign' in recipe) return recipe.describe;
  const { network, data, phases } = recipe.protocol;
  const options = Object.entries({ network, data }).flatMap(([what, value]) =>
    value === undefined ? [] : [`${what} ${specText(value)}`],
  );
  return [recipe.describe, phasesText(phases), ...options].join('; ');
}

/** Names by kind. */
type Listing = Readonly<Record<string, readonly string[]>>;

export const command: Command<object, Listing> = {
  name: 'list',
  describe: 'show networks, recipes, rules, modulators, datasets and backends',
  options: [],
  run: async () => ({
    networks: networkNames,
    recipes: recipeNames,
    rules: ruleNames,
    modulators: modulatorNames,
    datasets: datasetNames,
    backends: backendNames,
  }),
  text: (listing) =>
    [
      ...Object.entries(listing).map(([kind, names]) => `${kind.padEnd(WIDTH)} ${names.join('  ')}`),
      '',
      ...Object.values(recipes).map((recipe) => `${recipe.name.padEnd(WIDTH)} ${description(recipe)}`),
    ].join('\n'),
  document: (listing) => listing,
};
