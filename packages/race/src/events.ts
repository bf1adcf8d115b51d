/** The events of a run, one line of JSON each. */
import { z } from 'zod';
import { numericsSchema } from './checkpoint.js';
import { number } from './json.js';

const scoreSchema = z.object({ loss: number, accuracy: number });

/** Loss and accuracy on a set of images. */
export type Score = z.infer<typeof scoreSchema>;

/** Milliseconds spent so far, by activity. */
export const timesSchema = z.object({ trainMs: number, evalMs: number, logMs: number });

/** Schema of {@link RunEvent}. */
export const eventSchema = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('steps'),
    step: number,
    epoch: number,
    /** Mean over the images of the steps since the last such event; absent in a phase that reads no labels. */
    loss: number.optional(),
    accuracy: number.optional(),
    images: number,
    learningRate: z.record(z.string(), number),
    ...timesSchema.shape,
  }),
  z.object({
    type: z.literal('alignment'),
    step: number,
    epoch: number,
    layers: z.record(z.string(), z.object({ alignment: number, signAgreement: number, incrementNorm: number })),
  }),
  z.object({
    type: z.literal('epoch'),
    step: number,
    /** Epochs finished. */
    epoch: number,
    /** Null in a phase that reads no labels. */
    train: scoreSchema.nullable(),
    /** Null without validation images, and in a phase that reads no labels. */
    validation: scoreSchema.nullable(),
    /** Null in a phase that reads no labels, except at the end of the run. */
    test: scoreSchema.nullable(),
    ...timesSchema.shape,
  }),
  z.object({
    type: z.literal('filters'),
    step: number,
    layer: z.string(),
    /** Height, width, channels, filters. */
    shape: z.tuple([number, number, number, number]),
    /** Little-endian float32, base64. */
    values: z.string(),
  }),
  z.object({
    type: z.literal('resumed'),
    step: number,
    /** The backend that computes from this step on. */
    backend: z.string(),
    numerics: numericsSchema.optional(),
  }),
  z.object({ type: z.literal('failed'), step: number, code: z.string(), message: z.string(), help: z.string() }),
]);

/** Something that happened in a run. */
export type RunEvent = z.infer<typeof eventSchema>;
