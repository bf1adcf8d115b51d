/** The paper's figures for CIFAR-10, and the differences between a race and the paper's protocol. */
import { networkNames, networkOf } from './network.js';
import { type PlannedRecipe, phasesText, type RacePlan } from './plan.js';
import { planRecipe } from './recipe.js';

/** The paper's test accuracy for a recipe of a race; null if the paper has none. */
export function paperAccuracy({ network, dataset }: RacePlan, recipe: string): number | null {
  if (!networkNames.includes(network)) return null;
  return networkOf(network).published?.accuracy[dataset.name]?.[recipe] ?? null;
}

/** Differences between a race and the paper's code, as text; empty if the paper has no figure to compare with. */
export function deviations(plan: RacePlan): string[] {
  const published = plan.recipes.filter(({ name }) => paperAccuracy(plan, name) !== null);
  if (published.length === 0) return [];
  const { epochs, batch, dataset } = plan;
  const common = published.some(({ protocol }) => protocol === undefined);
  return [
    ...(epochs === 100 || !common ? [] : [`${count(epochs, 'epoch')} instead of 100`]),
    ...(batch === 64 || !common ? [] : [`batches of ${batch} instead of 64`]),
    ...published.flatMap(protocolDeviation),
    ...(dataset.trainSize === 50_000
      ? []
      : [`${dataset.trainSize.toLocaleString('en')} training images instead of 50,000`]),
    "the last epoch's test accuracy; the paper's code reports its best test epoch",
  ];
}

function protocolDeviation({ name, protocol }: PlannedRecipe): string[] {
  if (protocol === undefined) return [];
  const [now, published] = [protocol, planRecipe(name).protocol].map((each) => phasesText(each?.phases ?? []));
  return now === published ? [] : [`${name}: ${now}, instead of ${published}`];
}

const count = (n: number, noun: string) => `${n} ${noun}${n === 1 ? '' : 's'}`;
