/** Recipes by name, and products of any rule and modulator. */
import { ConfigurationError } from '@ghl/core';
import { type Plugin, unknownName } from '@ghl/core/plugin';
import type { Assignment } from '@ghl/learner';
import { parts, product, type Recipe, recipes } from '@ghl/recipes';
import { networkOf } from './network.js';
import type { PlannedRecipe } from './plan.js';

const rules = parts.filter((part) => part.kind === 'rule');
const modulators = parts.filter((part) => part.kind === 'modulator');

/** Names of the recipes. */
export const recipeNames: readonly string[] = Object.keys(recipes);

/** Names of the rules. */
export const ruleNames: readonly string[] = rules.map(({ name }) => name);

/** Names of the modulators. */
export const modulatorNames: readonly string[] = modulators.map(({ name }) => name);

/**
 * The assignment of a recipe to the weights of a network, with the constants of that network.
 *
 * @throws ConfigurationError `UNKNOWN_NETWORK`, `UNKNOWN_RECIPE`, `UNKNOWN_RULE`, `UNKNOWN_MODULATOR`,
 * `SENSELESS_PAIR`, and the errors of rule, modulator and their product.
 */
export function assignmentOf({ name, custom }: PlannedRecipe, network: string, steps: number): Assignment {
  const assign = custom === undefined ? recipeOf(name).assign : customRecipe(custom);
  return assign({ ...networkOf(network).constants, steps });
}

function recipeOf(name: string): Recipe {
  if (!Object.hasOwn(recipes, name)) throw unknownName('recipe', name, recipeNames);
  return recipes[name as keyof typeof recipes];
}

function customRecipe({
  rule,
  ruleOptions,
  modulator,
  modulatorOptions,
  raw,
}: NonNullable<PlannedRecipe['custom']>): Recipe['assign'] {
  const rulePart = partOf('rule', rules, rule);
  const modulatorPart = modulator === null ? null : partOf('modulator', modulators, modulator);
  if (rule === 'constant' && modulator !== 'sign') {
    throw new ConfigurationError(
      'SENSELESS_PAIR',
      `${rule} × ${modulator ?? 'no modulator'} would push every weight of a layer the same way: its ΔW has one sign.`,
      'use --modulator sign, which gives each weight a direction, or another rule.',
    );
  }
  return product({
    rule: (temperature) => rulePart.make(argument(rulePart, { ...rulePart.forLayer?.(temperature), ...ruleOptions })),
    modulator: modulatorPart?.make(argument(modulatorPart, modulatorOptions)) ?? null,
    raw,
  });
}

function partOf<Part extends Plugin>(kind: 'rule' | 'modulator', list: readonly Part[], name: string): Part {
  const part = list.find((each) => each.name === name);
  if (part === undefined) throw unknownName(kind, name, kind === 'rule' ? ruleNames : modulatorNames);
  return part;
}

/** The options for a factory: those of its first example, then `options`. */
function argument({ name, make, examples: [first = []] }: Plugin, options: object): object {
  const [option] = Object.keys(options);
  if (option !== undefined && make(...first).spec.args.length === 0) {
    throw new ConfigurationError('UNKNOWN_OPTION', `${name} has no option '${option}'.`, 'it takes none.');
  }
  return { ...(first[0] as object | undefined), ...options };
}
