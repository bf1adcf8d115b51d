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

/** A protocol of a recipe, with the epochs of this race. */
const protocolSchema = z.strictObject({
  network: z.record(z.string(), json).optional(),
  data: z.record(z.string(), json).optional(),
  phases: z
    .array(
      z.strictObject({
        epochs: positive,
        batch: positive,
        loss: z.string().optional(),
        patience: positive.optional(),
      }),
    )
    .min(1),
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
  recipes: z
    .array(z.strictObject({ name: z.string(), custom: customSchema.optional(), protocol: protocolSchema.optional() }))
    .min(1),
  seeds: positive,
  epochs: positive,
  batch: positive,
  backend: z.string(),
  threads: positive,
  target: number,
  code: z.string(),
});

/**
 * Recipes, network and data of a race. `custom` replaces the recipe of that name; `epochs` and `batch` are those of the
 * recipes without `protocol`; `code` is a version of all code that computes.
 */
export type RacePlan = z.infer<typeof planSchema>;

/** A recipe in a plan. */
export type PlannedRecipe = RacePlan['recipes'][number];

/** One run of a race. */
export interface PlannedRun {
  readonly recipe: PlannedRecipe;
  readonly seed: number;
}

/** A recipe's own phases, and its options for network and images. */
export type PlannedProtocol = NonNullable<PlannedRecipe['protocol']>;

/** A phase of a run. */
export type PlannedPhase = PlannedProtocol['phases'][number];

/** The phases of a recipe, in order: its own, or one with the epochs and the batch of the race. */
export function phasesOf({ epochs, batch }: RacePlan, { protocol }: PlannedRecipe): readonly PlannedPhase[] {
  return protocol?.phases ?? [{ epochs, batch }];
}

/** The length and the batches of some phases: `1 epoch in batches of 10, then 50 in batches of 64`. */
export function phasesText(phases: readonly Pick<PlannedPhase, 'epochs' | 'batch'>[]): string {
  return phases
    .map(
      ({ epochs, batch }, i) => `${epochs}${i > 0 ? '' : epochs === 1 ? ' epoch' : ' epochs'} in batches of ${batch}`,
    )
    .join(', then ');
}

/** The runs of a race, seed by seed: an interrupted race compares all recipes on the finished seeds. */
export function plannedRuns({ recipes, seeds }: RacePlan): PlannedRun[] {
  return Array.from({ length: seeds }, (_, seed) => recipes.map((recipe) => ({ recipe, seed }))).flat();
}

/** Steps of a phase; the last batch of an epoch may be smaller. */
export function stepsOf({ dataset }: Pick<RacePlan, 'dataset'>, { epochs, batch }: PlannedPhase): number {
  return epochs * Math.ceil(dataset.trainSize / batch);
}
