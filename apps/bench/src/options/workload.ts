/** Options for the workload: network, images and recipes. */
import { ConfigurationError, type Json } from '@ghl/core';
import { type PlannedRecipe, planRecipe, recipeNames } from '@ghl/race';
import { parts } from '@ghl/recipes';
import type { CommandOption } from './command.js';
import { names, record } from './values.js';

/** The selection of recipes; an option that the user omitted is absent. */
export interface RecipeOptions {
  readonly recipe?: readonly string[];
  readonly rule?: string;
  readonly ruleOptions?: Readonly<Record<string, Json>>;
  readonly modulator?: string;
  readonly modulatorOptions?: Readonly<Record<string, Json>>;
  readonly raw?: boolean;
}

/** The workload; an option that the user omitted is absent. */
export interface WorkloadOptions extends RecipeOptions {
  readonly network?: string;
  readonly dataset?: string;
  readonly data?: string;
}

/** The modulators that need options, with their defaults, as text. */
const modulatorDefaults = parts
  .filter(({ kind, examples }) => kind === 'modulator' && examples[0]?.[0] !== undefined)
  .map(({ name, examples }) => `default for ${name}: ${JSON.stringify(examples[0]?.[0])}`)
  .join('; ');

/**
 * The options of {@link WorkloadOptions}.
 *
 * @param recipes The default recipes, for the help.
 */
export function workloadOptions(recipes: string): CommandOption[] {
  return [
    { flags: '--network <name>', describe: 'network to train (default: deephebb-small)' },
    { flags: '--dataset <name>', describe: 'images to train on (default: the dataset in --data, else glyphs)' },
    {
      flags: '--data <dir>',
      describe:
        "folder of the dataset's files, or the folder above it (default, for a --dataset: GHL_DATA, else a download)",
    },
    { flags: '--recipe <names>', describe: `recipes, separated by commas (default: ${recipes})`, parse: names },
    { flags: '--rule <name>', describe: 'a local rule in place of a recipe' },
    { flags: '--rule-options <json>', describe: 'its options', parse: record },
    { flags: '--modulator <name>', describe: 'the third factor of --rule (default: none)' },
    {
      flags: '--modulator-options <json>',
      describe: `its options (${modulatorDefaults})`,
      parse: record,
    },
    { flags: '--raw', describe: 'do not wrap --rule in maxAbs' },
  ];
}

/** The recipes that a race trains by default: those without a protocol, which have the epochs of the network. */
const defaultNames = recipeNames.filter((name) => planRecipe(name).protocol === undefined);

/**
 * The recipes that the options select; if they select none, each recipe of one phase.
 *
 * @param epochs Divided among the phases of a protocol. Default: those of the protocol.
 * @throws ConfigurationError `UNKNOWN_RECIPE`; `NO_RULE` for options of a rule without a rule.
 */
export function selectedRecipes(options: RecipeOptions, epochs?: number): PlannedRecipe[] {
  const { recipe, rule, modulator, ruleOptions, modulatorOptions, raw } = options;
  const named = (recipe ?? (rule === undefined ? defaultNames : [])).map((name) => planRecipe(name, epochs));
  if (rule === undefined) {
    for (const [option, value] of Object.entries({ modulator, ruleOptions, modulatorOptions, raw })) {
      if (value === undefined) continue;
      throw new ConfigurationError(
        'NO_RULE',
        `--${option.replace(/[A-Z]/g, (c) => `-${c.toLowerCase()}`)} says how to use a rule, but there is no --rule.`,
        'name the rule too: --rule swta.',
      );
    }
    return named;
  }
  const custom = {
    rule,
    ruleOptions: ruleOptions ?? {},
    modulator: modulator ?? null,
    modulatorOptions: modulatorOptions ?? {},
    raw: raw ?? false,
  };
  return [...named, { name: [rule, modulator, raw && 'raw'].filter(Boolean).join('+'), custom }];
}
