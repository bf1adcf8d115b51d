/**
 * A checkpoint: all that a run needs to go on as if it had never stopped. One file: magic, the length of a JSON header,
 * the header (position, sums, SHA-256 of the rest), then weights, moving statistics and optimizer state as
 * `saveState` of `@ghl/core` writes them.
 */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { StateError } from '@ghl/core';
import { loadState, saveState } from '@ghl/core/engine';
import type { PlasticOptimizer } from '@ghl/learner';
import * as tf from '@tensorflow/tfjs-core';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { z } from 'zod';
import { replaceFile } from '../durable.js';
import { number, toJson } from '../json.js';

const MAGIC = 'GHLCKPT1';
const HEADER = MAGIC.length + 4;

const sumsSchema = z.object({ images: number, loss: number, correct: number });

/** Schema of `numerics` of an active backend. */
export const numericsSchema = z.record(z.string(), z.union([z.string(), z.boolean()]));

/** Schema of {@link Position}. */
export const positionSchema = z.object({
  step: number,
  /** Epochs finished. */
  epoch: number,
  /** Batches done of the epoch under way. */
  batch: number,
  shuffleSeed: number,
  /** What the backend chose, on which the numbers so far depend within rounding. */
  numerics: numericsSchema,
  /** Sums over the images of the epoch under way. */
  sums: sumsSchema,
  /** Sums over the images since the last event of steps. */
  window: sumsSchema,
  trainMs: number,
  evalMs: number,
  logMs: number,
  /** Images in the steps that `trainMs` is the time of. */
  trainedImages: number,
  /** Bytes of `events.jsonl` at this point. */
  eventsLength: number,
});

const headerSchema = z.object({ state: z.string(), position: positionSchema });

/** How far a run has come. */
export type Position = z.infer<typeof positionSchema>;

/** The position before the first step. */
export function start(shuffleSeed: number, numerics: Position['numerics']): Position {
  return {
    step: 0,
    epoch: 0,
    batch: 0,
    shuffleSeed,
    numerics,
    sums: { images: 0, loss: 0, correct: 0 },
    window: { images: 0, loss: 0, correct: 0 },
    trainMs: 0,
    evalMs: 0,
    logMs: 0,
    trainedImages: 0,
    eventsLength: 0,
  };
}

/**
 * Replaces the checkpoint at `path`.
 *
 * @throws StateError `DISK_FULL` and others of `replaceFile`; the former checkpoint stands.
 */
export async function writeCheckpoint(
  path: string,
  position: Position,
  model: LayersModel,
  optimizer: PlasticOptimizer,
): Promise<void> {
  const state = new Uint8Array(await saveState(await stateOf(model, optimizer)));
  const header = Buffer.from(toJson({ state: sha256(state), position }));
  const length = Buffer.alloc(4);
  length.writeUInt32LE(header.length);
  await replaceFile(path, Buffer.concat([Buffer.from(MAGIC), length, header, state]));
}

/**
 * Loads the checkpoint at `path` into model and optimizer.
 *
 * @returns The position; null if there is no checkpoint.
 * @throws StateError `CORRUPT_CHECKPOINT`, or `STATE_MISMATCH` if it is another model's.
 */
export async function readCheckpoint(
  path: string,
  model: LayersModel,
  optimizer: PlasticOptimizer,
): Promise<Position | null> {
  if (!existsSync(path)) return null;
  const { header, state } = parse(path, await readFile(path));
  const loaded = load(state, await stateOf(model, optimizer));
  model.setWeights(Object.values(loaded.model));
  const names = Object.keys(loaded.optimizer);
  await optimizer.setWeights(names.map((name) => ({ name, tensor: loaded.optimizer[name] as tf.Tensor })));
  tf.dispose(loaded);
  return header.position;
}

function load(bytes: ArrayBuffer, like: TrainingState): TrainingState {
  try {
    return loadState(bytes, like);
  } catch (error) {
    // Checkpoints that were written before optimizers had a step scale lack it.
    const { stepScale: _, ...optimizer } = like.optimizer;
    try {
      return loadState(bytes, { ...like, optimizer });
    } catch {
      throw error;
    }
  }
}

function parse(path: string, bytes: Buffer): { header: z.infer<typeof headerSchema>; state: ArrayBuffer } {
  try {
    if (bytes.toString('latin1', 0, MAGIC.length) !== MAGIC) throw new Error('it does not begin as one');
    const end = HEADER + bytes.readUInt32LE(MAGIC.length);
    const header = headerSchema.parse(JSON.parse(bytes.toString('utf8', HEADER, end)));
    const state = new Uint8Array(bytes.subarray(end));
    if (sha256(state) !== header.state) throw new Error('its checksum does not match');
    return { header, state: state.buffer };
  } catch (cause) {
    throw new StateError(
      'CORRUPT_CHECKPOINT',
      `${path} is no checkpoint: ${(cause as Error).message}.`,
      'it was changed from outside; delete the folder of this run to run it again.',
      cause,
    );
  }
}

/** Model and optimizer as one tree. */
type TrainingState = { model: Record<string, tf.Tensor>; optimizer: Record<string, tf.Tensor> };

/** Their state; the tensors are their owners'. */
async function stateOf(model: LayersModel, optimizer: PlasticOptimizer): Promise<TrainingState> {
  return {
    model: Object.fromEntries(model.weights.map((weight, i) => [`${i} ${weight.originalName}`, weight.read()])),
    optimizer: Object.fromEntries((await optimizer.getWeights()).map(({ name, tensor }) => [name, tensor])),
  };
}

/** SHA-256 of all weights and moving statistics of a model. */
export async function weightsChecksum(model: LayersModel): Promise<string> {
  const hash = createHash('sha256');
  for (const weight of model.weights) hash.update(new Uint8Array((await weight.read().data()).buffer.slice(0)));
  return hash.digest('hex');
}

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
