/**
 * The plan of a race: everything that decides the numbers of its runs. `race.json` contains it; an interrupted race
 * resumes from it, and two races with the same plan are comparable.
 */
import { z } from 'zod';
import { json, number } from './json.js';

const wholeNumber = z.number().int().nonnegative();
const positive = z.number().int().positive();

/** A rule and a modulator by name, in place of a recipe of `@ghl/recipes`. */
const customSchema = z.strictObject({
  rule: z.string(),
  ruleOptions: z.record(z.string(), json),
  modulator: z.string().nullable(),
  modulatorOptions: z.record(z.string(), json),
  raw: z.boolean(),
});

/** Schema of {@link RacePlan}. */
export const planSchema = z.strictObject({
  schemaVersion: z.literal(1),
  network: z.string(),
  dataset: z.strictObject({
    name: z.string(),
    checksum: z.string(),
    trainSize: positive,
    validationSize: wholeNumber,
    testSize: positive,
  }),
  recipes: z.array(z.strictObject({ name: z.string(), custom: customSchema.optional() })).min(1),
  seeds: positive,
  epochs: positive,
  batch: positive,
  backend: z.string(),
  threads: positive,
  target: number,
  code: z.string(),
});

/**
 * Recipes, network and data of a race. `custom` replaces the recipe of that name; `code` is a version of all code that
 * computes.
 */
export type RacePlan = z.infer<typeof planSchema>;

/** A recipe in a plan. */
export type PlannedRecipe = RacePlan['recipes'][number];

/** One run of a race. */
export interface PlannedRun {
  readonly recipe: PlannedRecipe;
  readonly seed: number;
}

/** A phase of a run: its recipe trains for some epochs. */
export interface PlannedPhase {
  readonly recipe: PlannedRecipe;
  readonly epochs: number;
  readonly batch: number;
}

/** The phases of a run, in order. Every run has one phase today; a list leaves room for more. */
export function phasesOf({ epochs, batch }: RacePlan, { recipe }: PlannedRun): readonly [PlannedPhase] {
  return [{ recipe, epochs, batch }];
}

/** The runs of a race, seed by seed: an interrupted race compares all recipes on the finished seeds. */
export function plannedRuns({ recipes, seeds }: RacePlan): PlannedRun[] {
  return Array.from({ length: seeds }, (_, seed) => recipes.map((recipe) => ({ recipe, seed }))).flat();
}

/** Steps per epoch; the last batch may be smaller. */
export function stepsPerEpoch({ dataset, batch }: Pick<RacePlan, 'dataset' | 'batch'>): number {
  return Math.ceil(dataset.trainSize / batch);
}
