/**
 * The plan of a race: everything that decides what its runs compute. It stands in `race.json`, from which an
 * interrupted race goes on, and which two races must share for their numbers to be comparable.
 */
import { z } from 'zod';
import { json, number } from './json.js';

const wholeNumber = z.number().int().nonnegative();
const positive = z.number().int().positive();

/** A rule and a modulator named on the command line, in place of a recipe of `@ghl/recipes`. */
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

/** What is raced on what. `custom` replaces the recipe of that name; `code` is {@link codeVersion}. */
export type RacePlan = z.infer<typeof planSchema>;

/** A recipe as a plan names it. */
export type PlannedRecipe = RacePlan['recipes'][number];

/** One run of a race. */
export interface PlannedRun {
  readonly recipe: PlannedRecipe;
  readonly seed: number;
}

/** The runs of a race: seed by seed, so that an interrupted race has compared all recipes on the seeds that it did. */
export function plannedRuns({ recipes, seeds }: RacePlan): PlannedRun[] {
  return Array.from({ length: seeds }, (_, seed) => recipes.map((recipe) => ({ recipe, seed }))).flat();
}

/** Updates in one epoch; the last batch may be smaller. */
export function stepsPerEpoch({ dataset, batch }: Pick<RacePlan, 'dataset' | 'batch'>): number {
  return Math.ceil(dataset.trainSize / batch);
}
