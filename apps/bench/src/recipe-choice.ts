/** Which recipes the command line asks for: those that it names, and a rule × modulator of its own. */
import { ConfigurationError } from '@ghl/core';
import { unknownName } from '@ghl/core/plugin';
import type { RecipeOptions } from './command-line.js';
import type { PlannedRecipe } from './race-plan.js';
import { recipeNames } from './training/recipe.js';

/**
 * The recipes that were named; all, where none was.
 *
 * @throws ConfigurationError `UNKNOWN_RECIPE`; `NO_RULE` for options of a rule that is not there.
 */
export function chosenRecipes(options: RecipeOptions): PlannedRecipe[] {
  const { recipe, rule, modulator, ruleOptions = {}, modulatorOptions = {}, raw = false } = options;
  for (const name of recipe ?? []) if (!recipeNames.includes(name)) throw unknownName('recipe', name, recipeNames);
  const named = (recipe ?? (rule === undefined ? recipeNames : [])).map((name) => ({ name }));
  if (rule === undefined) {
    for (const [option, given] of Object.entries({
      modulator,
      ruleOptions: options.ruleOptions,
      modulatorOptions: options.modulatorOptions,
      raw: options.raw,
    })) {
      if (given === undefined) continue;
      throw new ConfigurationError(
        'NO_RULE',
        `--${option.replace(/[A-Z]/g, (c) => `-${c.toLowerCase()}`)} says how to use a rule, but there is no --rule.`,
        'name the rule too: --rule swta.',
      );
    }
    return named;
  }
  const name = [rule, modulator, raw && 'raw'].filter(Boolean).join('+');
  return [...named, { name, custom: { rule, ruleOptions, modulator: modulator ?? null, modulatorOptions, raw } }];
}
