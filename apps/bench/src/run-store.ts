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
import type { Failure } from './failure.js';
import { json, number, toJson } from './json.js';
import { planSchema } from './race-plan.js';
import { numericsSchema } from './training/checkpoint.js';

export const manifestSchema = z.object({
  schemaVersion: z.literal(1),
  plan: planSchema,
  recipe: z.string(),
  /** The optimizer's spec: what moves which weights, as JSON. */
  spec: z.record(z.string(), json),
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

/** What was run, and on what. */
export type RunManifest = z.infer<typeof manifestSchema>;

const scoreSchema = z.object({ loss: number, accuracy: number });

/** Loss and accuracy on a set of images. */
export type Score = z.infer<typeof scoreSchema>;

/** Milliseconds spent so far, kept apart. */
const timesSchema = z.object({ trainMs: number, evalMs: number, logMs: number });

export const eventSchema = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('steps'),
    step: number,
    epoch: number,
    /** Mean over the images of the steps since the last such event. */
    loss: number,
    accuracy: number,
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
    train: scoreSchema,
    validation: scoreSchema.nullable(),
    test: scoreSchema,
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
    /** What computes from here on. */
    backend: z.string(),
    numerics: numericsSchema.optional(),
  }),
  z.object({ type: z.literal('failed'), step: number, code: z.string(), message: z.string(), help: z.string() }),
]);

/** Something that happened in a run. */
export type RunEvent = z.infer<typeof eventSchema>;

export const doneSchema = z.object({
  schemaVersion: z.literal(1),
  steps: number,
  epochs: number,
  /** Test accuracy after the last epoch. */
  testAccuracy: number,
  /** The epoch that was best on the validation images, and its test accuracy; null if none were held out. */
  best: z.object({ epoch: number, validationAccuracy: number, testAccuracy: number }).nullable(),
  /** Null where no step was timed by itself: one step an epoch, and that one measured. */
  imagesPerSecond: number.nullable(),
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

  get #resultPath(): string {
    return join(this.path, 'done.json');
  }

  /** The manifest, or null before it was written. */
  readManifest(): Promise<RunManifest | null> {
    return readJson(join(this.path, 'manifest.json'), manifestSchema);
  }

  writeManifest(manifest: RunManifest): Promise<void> {
    return replaceFile(join(this.path, 'manifest.json'), asFile(manifest));
  }

  /** What came out, or null while the run is not finished. */
  readResult(): Promise<RunResult | null> {
    return readJson(this.#resultPath, doneSchema);
  }

  writeResult(result: RunResult): Promise<void> {
    return replaceFile(this.#resultPath, asFile(result));
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
        throw new StateError(
          'EVENTS_LOST',
          `${path} has ${size} bytes; its checkpoint was made after ${length}.`,
          'the file was changed from outside; delete the folder of this run to run it again.',
        );
      }
      await file.truncate(length);
      return new EventLog(path, file, length);
    });
  }

  /**
   * Notes why the run failed, where its process could not: it was killed, or never came to its first event. For whoever
   * holds the race, once that process has ended.
   */
  async recordFailure({ code, message, help }: Failure): Promise<void> {
    const last = (await this.readEvents()).at(-1);
    if (last?.type === 'failed' && last.code === code) return;
    const written = existsSync(this.#eventsPath) ? await readFile(this.#eventsPath) : Buffer.alloc(0);
    // A kill may have cut the last line short.
    const log = await this.openEvents(written.lastIndexOf('\n') + 1);
    await log.append({ type: 'failed', step: last?.step ?? 0, code, message, help });
    await log.close();
  }

  /** Forgets a run that has no usable beginning. */
  async clear(): Promise<void> {
    for (const path of [this.#eventsPath, this.checkpointPath, this.#resultPath]) await rm(path, { force: true });
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
    const line = Buffer.from(`${toJson(event)}\n`);
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

/** A value as the contents of a JSON file. */
export const asFile = (value: unknown) => `${toJson(value, 2)}\n`;

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
  return new StateError(
    'CORRUPT_RUN',
    `${where} is not what the bench writes: ${what}`,
    'it was changed from outside, or by another version; delete the folder of this run to run it again.',
    cause,
  );
}
