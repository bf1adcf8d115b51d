/**
 * The records of one run:
 *
 *     manifest.json    what was run, and on what; written first
 *     events.jsonl     the events, in order; appended to
 *     checkpoint.bin   the state to resume from; replaced as a whole
 *     done.json        the result; written last
 *     activations.bin  activations of a frozen prefix that do not fit in memory; deleted at the end of the phase
 *     activations.json their input; written after them
 */
import { StateError } from '@ghl/core';
import { z } from 'zod';
import { eventSchema, type RunEvent } from './events.js';
import type { Failure } from './failure.js';
import { toJson } from './json.js';
import { manifestSchema, type RunManifest } from './manifest.js';
import { type RunResult, resultSchema } from './result.js';
import type { AppendLog, RunStorage } from './storage.js';

const MANIFEST = 'manifest.json';
const EVENTS = 'events.jsonl';
const CHECKPOINT = 'checkpoint.bin';
const RESULT = 'done.json';
const ACTIVATIONS = 'activations.bin';
const ACTIVATIONS_SOURCE = 'activations.json';

const NEWLINE = 10;

/** The input of activations, as JSON. */
export type ActivationSource = { readonly [name: string]: unknown };

/** A log whose bytes can be read from any position. */
export type ReadableLog = AppendLog & Required<Pick<AppendLog, 'read'>>;

/** Reads and writes the records of one run. */
export class RunRecord {
  readonly #storage: RunStorage;

  constructor(storage: RunStorage) {
    this.#storage = storage;
  }

  /** The manifest; null before it was written. */
  readManifest(): Promise<RunManifest | null> {
    return this.#readJson(MANIFEST, manifestSchema);
  }

  /** Writes the manifest. */
  writeManifest(manifest: RunManifest): Promise<void> {
    return this.#storage.write(MANIFEST, jsonRecord(manifest));
  }

  /** The result; null while the run is not finished. */
  readResult(): Promise<RunResult | null> {
    return this.#readJson(RESULT, resultSchema);
  }

  /** Writes the result. */
  writeResult(result: RunResult): Promise<void> {
    return this.#storage.write(RESULT, jsonRecord(result));
  }

  /** The bytes of the checkpoint, with a name for messages; null if there is none. */
  async readCheckpoint(): Promise<{ readonly bytes: Uint8Array; readonly place: string } | null> {
    const bytes = await this.#storage.read(CHECKPOINT);
    return bytes && { bytes, place: this.#storage.locate(CHECKPOINT) };
  }

  /** Replaces the checkpoint. */
  writeCheckpoint(bytes: Uint8Array): Promise<void> {
    return this.#storage.write(CHECKPOINT, bytes);
  }

  /** All events so far. A line that a crash cut short is left out. */
  async readEvents(): Promise<RunEvent[]> {
    const bytes = await this.#storage.read(EVENTS);
    if (bytes === null) return [];
    const lines = new TextDecoder().decode(bytes).split('\n').slice(0, -1);
    return lines.map((line, i) => parseJson(`${this.#storage.locate(EVENTS)}, line ${i + 1}`, line, eventSchema));
  }

  /**
   * Opens the events for appending, and cuts those after the first `length` bytes: the events after a checkpoint
   * happen again.
   *
   * @throws StateError `EVENTS_LOST` if there are fewer bytes.
   */
  async openEvents(length: number): Promise<EventLog> {
    const log = await this.#storage.open(EVENTS);
    if (log.length < length) {
      const size = log.length;
      await log.close();
      throw new StateError(
        'EVENTS_LOST',
        `${this.#storage.locate(EVENTS)} has ${size} bytes; its checkpoint was made after ${length}.`,
        'the file was changed from outside; delete the folder of this run to run it again.',
      );
    }
    await log.truncate(length);
    return new EventLog(log);
  }

  /**
   * Records why the run failed, if its process could not: it was killed, or failed before its first event. Call it
   * after that process has ended.
   */
  async recordFailure({ code, message, help }: Failure): Promise<void> {
    const last = (await this.readEvents()).at(-1);
    if (last?.type === 'failed' && last.code === code) return;
    const bytes = (await this.#storage.read(EVENTS)) ?? new Uint8Array();
    // A crash may have cut the last line short.
    const log = await this.openEvents(bytes.lastIndexOf(NEWLINE) + 1);
    await log.append({ type: 'failed', step: last?.step ?? 0, code, message, help });
    await log.close();
  }

  /**
   * Opens the activations of a frozen prefix. null if the storage reads only whole records.
   *
   * @param source Their input. Activations of another source are deleted.
   * @param length Their bytes once they are complete. If there are fewer, they are deleted.
   */
  async openActivations(source: ActivationSource, length: number): Promise<ReadableLog | null> {
    const stored = await this.#readJson(ACTIVATIONS_SOURCE, z.unknown());
    const log = await this.#storage.open(ACTIVATIONS);
    if (log.read === undefined) {
      await log.close();
      await this.removeActivations();
      return null;
    }
    if (toJson(stored) !== toJson(source) || log.length !== length) {
      await this.#storage.remove(ACTIVATIONS_SOURCE);
      await log.truncate(0);
    }
    return log as ReadableLog;
  }

  /** Records that the activations are complete. Call it after `sync()`. */
  completeActivations(source: ActivationSource): Promise<void> {
    return this.#storage.write(ACTIVATIONS_SOURCE, jsonRecord(source));
  }

  /** Deletes the activations of a frozen prefix. */
  async removeActivations(): Promise<void> {
    for (const name of [ACTIVATIONS_SOURCE, ACTIVATIONS]) await this.#storage.remove(name);
  }

  /** Deletes the records of a run that has no manifest. */
  async clear(): Promise<void> {
    for (const name of [EVENTS, CHECKPOINT, RESULT]) await this.#storage.remove(name);
    await this.removeActivations();
  }

  async #readJson<T>(name: string, schema: z.ZodType<T>): Promise<T | null> {
    const bytes = await this.#storage.read(name);
    return bytes && parseJson(this.#storage.locate(name), new TextDecoder().decode(bytes), schema);
  }
}

/** An append-only list of events. */
export class EventLog {
  readonly #log: AppendLog;

  constructor(log: AppendLog) {
    this.#log = log;
  }

  /** Its length in bytes. */
  get length(): number {
    return this.#log.length;
  }

  /** Appends one event. */
  append(event: RunEvent): Promise<void> {
    return this.#log.append(new TextEncoder().encode(`${toJson(event)}\n`));
  }

  /** Resolves once all events would survive a crash, so that a checkpoint may refer to them. */
  sync(): Promise<void> {
    return this.#log.sync();
  }

  /** Closes the file. */
  close(): Promise<void> {
    return this.#log.close();
  }
}

/** A value as the bytes of a JSON record. */
export function jsonRecord(value: unknown): Uint8Array {
  return new TextEncoder().encode(`${toJson(value, 2)}\n`);
}

/**
 * Parses a JSON record.
 *
 * @param place The record's name in messages.
 * @throws StateError `CORRUPT_RUN` unless the text matches the schema.
 */
export function parseJson<T>(place: string, text: string, schema: z.ZodType<T>): T {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw corrupt(place, (cause as Error).message, cause);
  }
  const result = schema.safeParse(value);
  if (!result.success) throw corrupt(place, z.prettifyError(result.error).replaceAll('\n', ' '), result.error);
  return result.data;
}

function corrupt(place: string, problem: string, cause: unknown): StateError {
  return new StateError(
    'CORRUPT_RUN',
    `${place} is not what the bench writes: ${problem}`,
    'it was changed from outside, or by another version; delete the folder of this run to run it again.',
    cause,
  );
}
