/** Recipes by name, and products of any rule and modulator. */
import { ConfigurationError, constant, type GlobalModulator, type LocalRule } from '@ghl/core';
import { unknownName } from '@ghl/core/plugin';
import type { Assignment } from '@ghl/learner';
import { gate } from '@ghl/modulator-gate';
import { scalar } from '@ghl/modulator-scalar';
import { sign } from '@ghl/modulator-sign';
import { product, type Recipe, recipes } from '@ghl/recipes';
import { bcm } from '@ghl/rule-bcm';
import { hpca } from '@ghl/rule-hpca';
import { oja } from '@ghl/rule-oja';
import { swta } from '@ghl/rule-swta';
import type { PlannedRecipe } from './plan.js';

type Options = Readonly<Record<string, unknown>>;

/** Rules by name, from their options and the recipe's temperature for a layer. */
const rules: Readonly<Record<string, (options: Options, temperature: number) => LocalRule>> = {
  oja: (options) => withOptions('oja', options, oja),
  swta: (options, temperature) => swta({ temperature, ...options }),
  bcm: (options) => bcm(options),
  hpca: (options) => hpca(options),
  constant: (options) => withOptions('constant', options, constant),
};

/** Modulators by name, from their options. A gate, whose options have no defaults, opens on surprise. */
const modulators: Readonly<Record<string, (options: Options) => GlobalModulator>> = {
  sign: (options) => sign(options) as unknown as GlobalModulator,
  gate: (options) => gate({ on: 'surprise', threshold: 0.05, ...options }) as unknown as GlobalModulator,
  scalar: (options) => scalar(options) as unknown as GlobalModulator,
};

/** Names of the recipes. */
export const recipeNames: readonly string[] = Object.keys(recipes);

/** Names of the rules. */
export const ruleNames: readonly string[] = Object.keys(rules);

/** Names of the modulators. */
export const modulatorNames: readonly string[] = Object.keys(modulators);

/**
 * The assignment of a recipe to the weights of a network.
 *
 * @throws ConfigurationError `UNKNOWN_RECIPE`, `UNKNOWN_RULE`, `UNKNOWN_MODULATOR`, `SENSELESS_PAIR`, and the errors of
 * rule, modulator and their product.
 */
export function assignmentOf({ name, custom }: PlannedRecipe, network: string, steps: number): Assignment {
  const recipe = custom === undefined ? find('recipe', recipes, name) : customRecipe(custom);
  return recipe(network, { steps });
}

function customRecipe({
  rule,
  ruleOptions,
  modulator,
  modulatorOptions,
  raw,
}: NonNullable<PlannedRecipe['custom']>): Recipe {
  const makeRule = find('rule', rules, rule);
  const makeModulator = modulator === null ? null : find('modulator', modulators, modulator);
  if (rule === 'constant' && modulator !== 'sign') {
    throw new ConfigurationError(
      'SENSELESS_PAIR',
      `${rule} × ${modulator ?? 'no modulator'} would push every weight of a layer the same way: its ΔW has one sign.`,
      'use --modulator sign, which gives each weight a direction, or another rule.',
    );
  }
  return product({
    rule: (temperature) => makeRule(ruleOptions, temperature),
    modulator: makeModulator?.(modulatorOptions) ?? null,
    raw,
  });
}

function find<T>(kind: string, known: Readonly<Record<string, T>>, name: string): T {
  const found = Object.hasOwn(known, name) ? known[name] : undefined;
  if (found === undefined) throw unknownName(kind, name, Object.keys(known));
  return found;
}

function withOptions(name: string, options: Options, make: () => LocalRule): LocalRule {
  const [first] = Object.keys(options);
  if (first === undefined) return make();
  throw new ConfigurationError('UNKNOWN_OPTION', `${name} has no option '${first}'.`, 'it takes none.');
}
