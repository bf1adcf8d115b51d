/** The manifest of a run: its plan, recipe, backend and environment. A run writes it first. */
import { z } from 'zod';
import { numericsSchema } from './checkpoint.js';
import { json, number } from './json.js';
import { planSchema } from './plan.js';

/** Schema of {@link RunManifest}. */
export const manifestSchema = z.object({
  schemaVersion: z.literal(1),
  plan: planSchema,
  recipe: z.string(),
  /** The optimizer's spec as JSON; of several phases, that of the first. */
  spec: z.record(z.string(), json),
  /** The specs of the phases after the first. */
  laterSpecs: z.array(z.record(z.string(), json)).optional(),
  seed: number,
  parameters: number,
  backend: z.object({ name: z.string(), numerics: numericsSchema.optional() }).catchall(json),
  environment: z
    .object({
      versions: z.record(z.string(), z.string()),
      git: z.object({ commit: z.string(), dirty: z.boolean() }).nullable(),
      cpu: z.string(),
      cores: number,
      memoryGiB: number,
      platform: z.string(),
    })
    .catchall(json),
});

/** The plan, recipe, backend and environment of a run. */
export type RunManifest = z.infer<typeof manifestSchema>;
