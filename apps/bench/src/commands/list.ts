/** `bench list`: every name that the command line accepts. */
import { modulatorNames, networkNames, recipeNames, ruleNames } from '@ghl/race';
import { recipes } from '@ghl/recipes';
import { datasetNames } from '../files/data.js';
import type { Command } from '../options/command.js';
import { backendNames } from '../platform/backends.js';

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
      ...Object.entries(listing).map(([kind, names]) => `${kind.padEnd(12)} ${names.join('  ')}`),
      '',
      ...Object.values(recipes).map(({ name, describe }) => `${name.padEnd(12)} ${describe}`),
    ].join('\n'),
  document: (listing) => listing,
};
