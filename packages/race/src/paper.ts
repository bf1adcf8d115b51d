/** The paper's figures for CIFAR-10, and the differences between a race and the paper's protocol. */
import { networkNames, networkOf } from './network.js';
import type { RacePlan } from './plan.js';

/** The paper's test accuracy for a recipe of a race; null if the paper has none. */
export function paperAccuracy({ network, dataset }: RacePlan, recipe: string): number | null {
  if (!networkNames.includes(network)) return null;
  return networkOf(network).published?.accuracy[dataset.name]?.[recipe] ?? null;
}

/** Differences between a race and the paper's code, as text; empty if the paper has no figure to compare with. */
export function deviations(plan: RacePlan): string[] {
  if (plan.recipes.every(({ name }) => paperAccuracy(plan, name) === null)) return [];
  const { epochs, batch, dataset } = plan;
  return [
    ...(epochs === 100 ? [] : [`${count(epochs, 'epoch')} instead of 100`]),
    ...(batch === 64 ? [] : [`batches of ${batch} instead of 64`]),
    ...(dataset.trainSize === 50_000
      ? []
      : [`${dataset.trainSize.toLocaleString('en')} training images instead of 50,000`]),
    "the last epoch's test accuracy; the paper's code reports its best test epoch",
  ];
}

const count = (n: number, noun: string) => `${n} ${noun}${n === 1 ? '' : 's'}`;
