/** The result of a run, which it writes last. */
import { z } from 'zod';
import { timesSchema } from './events.js';
import { number } from './json.js';

/** Schema of {@link RunResult}. */
export const resultSchema = z.object({
  schemaVersion: z.literal(1),
  steps: number,
  epochs: number,
  /** Test accuracy after the last epoch. */
  testAccuracy: number,
  /** The epoch that was best on the validation images, and its test accuracy; null if none were held out. */
  best: z.object({ epoch: number, validationAccuracy: number, testAccuracy: number }).nullable(),
  /** Null if no step was timed separately: one step per epoch, and that one measured. */
  imagesPerSecond: number.nullable(),
  /** SHA-256 of all weights and moving statistics at the end. */
  weights: z.string(),
  ...timesSchema.shape,
});

/** The result of a run. */
export type RunResult = z.infer<typeof resultSchema>;
