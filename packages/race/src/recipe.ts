/** Recipes by name, and products of any rule and modulator. */
import { ConfigurationError } from '@ghl/core';
import { type Plugin, unknownName } from '@ghl/core/plugin';
import type { Assignment } from '@ghl/learner';
import { type OnePhaseRecipe, type ProtocolPhase, parts, product, type Recipe, recipes } from '@ghl/recipes';
import { lossOf } from './loss.js';
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
 * A recipe for a plan. A recipe with its own phases keeps them, so that the plan states them.
 *
 * @param epochs The epochs of the race. A recipe with its own phases divides them: each phase has one, and the others
 * are in proportion to the other epochs of its protocol. Default: the epochs of its protocol.
 * @throws ConfigurationError `UNKNOWN_RECIPE`.
 */
export function planRecipe(name: string, epochs?: number): PlannedRecipe {
  const recipe = recipeOf(name);
  if ('assign' in recipe) return { name };
  const { network, data, phases } = recipe.protocol;
  const lengths = divide(
    epochs,
    phases.map((phase) => phase.epochs),
  );
  return {
    name,
    protocol: {
      ...(network && { network }),
      ...(data && { data }),
      phases: phases.map(({ batch, loss, patience }, i) => ({
        epochs: lengths[i] as number,
        batch,
        ...(loss && { loss }),
        ...(patience && { patience }),
      })),
    },
  };
}

/** At least one epoch for each phase; the others in proportion to the others of the protocol. */
function divide(epochs: number | undefined, published: readonly number[]): readonly number[] {
  const others = published.map((each) => each - 1);
  const all = others.reduce((sum, each) => sum + each, 0);
  const left = Math.max(0, (epochs ?? all + published.length) - published.length);
  const weights = all > 0 ? others : published;
  const total = all > 0 ? all : published.length;
  let weight = 0;
  return weights.map((each) => {
    const before = Math.round((left * weight) / total);
    weight += each;
    return 1 + Math.round((left * weight) / total) - before;
  });
}

/**
 * The assignment of a recipe to the weights of a network, with the constants of that network.
 *
 * @param steps Updates in the phase.
 * @param phase The phase of a recipe with its own phases. Default: the first, with the epochs of its protocol.
 * @throws ConfigurationError `UNKNOWN_NETWORK`, `UNKNOWN_RECIPE`, `UNKNOWN_RULE`, `UNKNOWN_MODULATOR`,
 * `SENSELESS_PAIR`, and the errors of rule, modulator and their product.
 */
export function assignmentOf(
  { name, custom }: PlannedRecipe,
  network: string,
  steps: number,
  phase: { readonly index: number; readonly epochs?: number } = { index: 0 },
): Assignment {
  const recipe = custom === undefined ? recipeOf(name) : { assign: customRecipe(custom) };
  const options = { ...networkOf(network).constants, steps };
  if ('assign' in recipe) return recipe.assign(options);
  const { assign, epochs } = recipe.protocol.phases[phase.index] as ProtocolPhase;
  return assign({ ...options, epochs: phase.epochs ?? epochs });
}

/** @throws ConfigurationError `UNKNOWN_RECIPE`. */
export function recipeOf(name: string): Recipe {
  if (!Object.hasOwn(recipes, name)) throw unknownName('recipe', name, recipeNames);
  return recipes[name as keyof typeof recipes];
}

/**
 * Builds the assignment of every phase of a recipe.
 *
 * @throws As {@link assignmentOf}; ConfigurationError `UNKNOWN_LOSS`.
 */
export function checkRecipe(recipe: PlannedRecipe, network: string): void {
  for (const [index, { loss, epochs }] of (recipe.protocol?.phases ?? [{ loss: undefined, epochs: 1 }]).entries()) {
    lossOf(loss);
    assignmentOf(recipe, network, epochs, { index, epochs });
  }
}

function customRecipe({
  rule,
  ruleOptions,
  modulator,
  modulatorOptions,
  raw,
}: NonNullable<PlannedRecipe['custom']>): OnePhaseRecipe['assign'] {
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
