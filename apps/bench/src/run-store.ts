/**
 * The folder of one run, `DIR/<recipe>/<seed>/`:
 *
 *     manifest.json    what was run, and on what; written first
 *     events.jsonl     what happened, appended to
 *     checkpoint.bin   from where it goes on; replaced as a whole
 *     done.json        what came out; written last
 */
import { existsSync } from 'node:fs';
import { type FileHandle, mkdir, open, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { StateError } from '@ghl/core';
import { z } from 'zod';
import { onDisk, replaceFile } from './durable.js';
import { planSchema } from './race-plan.js';
import { numericsSchema } from './training/checkpoint.js';

const manifestSchema = z.object({
  schemaVersion: z.literal(1),
  plan: planSchema,
  recipe: z.string(),
  /** The optimizer's spec: what moves which weights, as JSON. */
  spec: z.record(z.string(), z.json()),
  seed: z.number(),
  parameters: z.number(),
  backend: z.looseObject({ name: z.string(), numerics: numericsSchema.optional() }),
  environment: z.looseObject({
    versions: z.record(z.string(), z.string()),
    git: z.object({ commit: z.string(), dirty: z.boolean() }).nullable(),
    cpu: z.string(),
    cores: z.number(),
    memoryGiB: z.number(),
    platform: z.string(),
  }),
});

/** What was run, and on what. */
export type RunManifest = z.infer<typeof manifestSchema>;

const scoreSchema = z.object({ loss: z.number(), accuracy: z.number() });

/** Loss and accuracy on a set of images. */
export type Score = z.infer<typeof scoreSchema>;

/** Milliseconds spent so far, kept apart. */
const timesSchema = z.object({ trainMs: z.number(), evalMs: z.number(), logMs: z.number() });

const eventSchema = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('steps'),
    step: z.number(),
    epoch: z.number(),
    /** Mean over the images of the steps since the last such event. */
    loss: z.number(),
    accuracy: z.number(),
    images: z.number(),
    learningRate: z.record(z.string(), z.number()),
    ...timesSchema.shape,
  }),
  z.object({
    type: z.literal('alignment'),
    step: z.number(),
    epoch: z.number(),
    layers: z.record(
      z.string(),
      z.object({ alignment: z.number(), signAgreement: z.number(), incrementNorm: z.number() }),
    ),
  }),
  z.object({
    type: z.literal('epoch'),
    step: z.number(),
    /** Epochs finished. */
    epoch: z.number(),
    train: scoreSchema,
    validation: scoreSchema.nullable(),
    test: scoreSchema,
    ...timesSchema.shape,
  }),
  z.object({
    type: z.literal('filters'),
    step: z.number(),
    layer: z.string(),
    /** Height, width, channels, filters. */
    shape: z.tuple([z.number(), z.number(), z.number(), z.number()]),
    /** Little-endian float32, base64. */
    values: z.string(),
  }),
  z.object({
    type: z.literal('resumed'),
    step: z.number(),
    /** What computes from here on. */
    backend: z.string(),
    numerics: numericsSchema.optional(),
  }),
  z.object({ type: z.literal('failed'), step: z.number(), code: z.string(), message: z.string(), help: z.string() }),
]);

/** Something that happened in a run. */
export type RunEvent = z.infer<typeof eventSchema>;

const doneSchema = z.object({
  schemaVersion: z.literal(1),
  steps: z.number(),
  epochs: z.number(),
  /** Test accuracy after the last epoch. */
  testAccuracy: z.number(),
  /** The epoch that was best on the validation images, and its test accuracy; null if none were held out. */
  best: z.object({ epoch: z.number(), validationAccuracy: z.number(), testAccuracy: z.number() }).nullable(),
  /** Null where no step was timed by itself: one step an epoch, and that one measured. */
  imagesPerSecond: z.number().nullable(),
  /** SHA-256 of all weights and moving statistics at the end. */
  weights: z.string(),
  ...timesSchema.shape,
});

/** What came out of a run. */
export type RunResult = z.infer<typeof doneSchema>;

/** The folder of one run. */
export class RunFolder {
  readonly path: string;

  constructor(race: string, recipe: string, seed: number) {
    this.path = join(race, recipe, String(seed));
  }

  /** Where the checkpoint lies. */
  get checkpointPath(): string {
    return join(this.path, 'checkpoint.bin');
  }

  get #eventsPath(): string {
    return join(this.path, 'events.jsonl');
  }

  /** The manifest, or null before it was written. */
  readManifest(): Promise<RunManifest | null> {
    return readJson(join(this.path, 'manifest.json'), manifestSchema);
  }

  writeManifest(manifest: RunManifest): Promise<void> {
    return replaceFile(join(this.path, 'manifest.json'), json(manifest));
  }

  /** What came out, or null while the run is not finished. */
  readResult(): Promise<RunResult | null> {
    return readJson(join(this.path, 'done.json'), doneSchema);
  }

  writeResult(result: RunResult): Promise<void> {
    return replaceFile(join(this.path, 'done.json'), json(result));
  }

  /** What has happened so far. A line that a kill cut short is left out. */
  async readEvents(): Promise<RunEvent[]> {
    const path = this.#eventsPath;
    if (!existsSync(path)) return [];
    const lines = (await readFile(path, 'utf8')).split('\n').slice(0, -1);
    return lines.map((line, i) => parse(`${path}, line ${i + 1}`, line, eventSchema));
  }

  /**
   * Opens the events for appending, after cutting what was written later than `length` bytes: what happened after the
   * checkpoint happens again.
   *
   * @throws StateError `EVENTS_LOST` if there are fewer bytes than that.
   */
  async openEvents(length: number): Promise<EventLog> {
    const path = this.#eventsPath;
    return onDisk(path, async () => {
      await mkdir(this.path, { recursive: true });
      const file = await open(path, 'a');
      const { size } = await file.stat();
      if (size < length) {
        await file.close();
        throw new StateError('EVENTS_LOST', `${path} has ${size} bytes; its checkpoint was made after ${length}.`, {
          help: 'the file was changed from outside; delete the folder of this run to run it again.',
        });
      }
      await file.truncate(length);
      return new EventLog(path, file, length);
    });
  }

  /** Forgets a run that has no usable beginning. */
  async clear(): Promise<void> {
    await rm(this.path, { recursive: true, force: true });
  }
}

/** An append-only list of events. */
export class EventLog {
  readonly #path: string;
  readonly #file: FileHandle;
  #length: number;

  constructor(path: string, file: FileHandle, length: number) {
    this.#path = path;
    this.#file = file;
    this.#length = length;
  }

  /** Bytes written. */
  get length(): number {
    return this.#length;
  }

  /** @throws StateError as `replaceFile` does. */
  async append(event: RunEvent): Promise<void> {
    const line = Buffer.from(`${JSON.stringify(event)}\n`);
    await onDisk(this.#path, () => this.#file.appendFile(line));
    this.#length += line.length;
  }

  /** Forces what was appended to the disk, so that a checkpoint may refer to it. */
  async sync(): Promise<void> {
    await onDisk(this.#path, () => this.#file.sync());
  }

  async close(): Promise<void> {
    await this.#file.close();
  }
}

const json = (value: unknown) => `${JSON.stringify(value, null, 2)}\n`;

/**
 * Reads a JSON file of a known shape; null if there is none.
 *
 * @throws StateError `CORRUPT_RUN` if it is not of that shape.
 */
export async function readJson<T>(path: string, schema: z.ZodType<T>): Promise<T | null> {
  if (!existsSync(path)) return null;
  return parse(path, await readFile(path, 'utf8'), schema);
}

function parse<T>(where: string, text: string, schema: z.ZodType<T>): T {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw corrupt(where, (cause as Error).message, cause);
  }
  const result = schema.safeParse(value);
  if (!result.success) throw corrupt(where, z.prettifyError(result.error).replaceAll('\n', ' '), result.error);
  return result.data;
}

function corrupt(where: string, what: string, cause: unknown): StateError {
  return new StateError('CORRUPT_RUN', `${where} is not what the bench writes: ${what}`, {
    help: 'it was changed from outside, or by another version; delete the folder of this run to run it again.',
    cause,
  });
}
