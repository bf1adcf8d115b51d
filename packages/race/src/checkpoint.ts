/**
 * A checkpoint: the complete state of a run, from which it continues as if it had never stopped. Its bytes are a magic
 * word, the length of a JSON header, the header (position, sums, SHA-256 of the rest), then weights, moving statistics
 * and optimizer state in the format of `saveState` of `@ghl/core/engine`.
 */
import { StateError } from '@ghl/core';
import { loadState, saveState } from '@ghl/core/engine';
import type { PlasticOptimizer } from '@ghl/learner';
import * as tf from '@tensorflow/tfjs-core';
import type { LayersModel, LayerVariable } from '@tensorflow/tfjs-layers';
import { z } from 'zod';
import { number, toJson } from './json.js';

const MAGIC = 'GHLCKPT1';
/** Bytes before the header: the magic and the header's length. */
const PREFIX = MAGIC.length + 4;

const sumsSchema = z.object({ images: number, loss: number, correct: number });

/** Schema of `numerics` of an active backend. */
export const numericsSchema = z.record(z.string(), z.union([z.string(), z.boolean()]));

/** The start of the first phase, and the phase of checkpoints that had only one. */
export const FIRST_PHASE = { index: 0, epoch: 0, step: 0, trainMs: 0, trainedImages: 0, best: -1, stale: 0 } as const;

/** Schema of {@link Position}. */
export const positionSchema = z.object({
  /** The current phase. */
  phase: z
    .object({
      index: number,
      /** `epoch`, `step`, `trainMs` and `trainedImages` when it began. */
      epoch: number,
      step: number,
      trainMs: number,
      trainedImages: number,
      /** Its best validation accuracy, and the epochs since. */
      best: number,
      stale: number,
    })
    .default(FIRST_PHASE),
  step: number,
  /** Epochs finished. */
  epoch: number,
  /** Batches done of the current epoch. */
  batch: number,
  shuffleSeed: number,
  /** The backend's choices, on which the numbers so far depend within rounding. */
  numerics: numericsSchema,
  /** Sums over the images of the current epoch. */
  sums: sumsSchema,
  /** Sums over the images since the last event of steps. */
  window: sumsSchema,
  trainMs: number,
  evalMs: number,
  logMs: number,
  /** Images in the steps that `trainMs` covers. */
  trainedImages: number,
  /** Bytes of the events at this point. */
  eventsLength: number,
});

const headerSchema = z.object({ state: z.string(), position: positionSchema });

/** The progress of a run. */
export type Position = z.infer<typeof positionSchema>;

/** The position before the first step. */
export function firstPosition(shuffleSeed: number, numerics: Position['numerics']): Position {
  return {
    phase: FIRST_PHASE,
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

/** The bytes of a checkpoint. */
export async function encodeCheckpoint(
  position: Position,
  model: LayersModel,
  optimizer: Pick<PlasticOptimizer, 'getWeights'>,
): Promise<Uint8Array> {
  const state = new Uint8Array(await saveState(await stateOf(model, optimizer)));
  const header = new TextEncoder().encode(toJson({ state: await sha256(state), position }));
  const bytes = new Uint8Array(PREFIX + header.length + state.length);
  bytes.set(new TextEncoder().encode(MAGIC));
  new DataView(bytes.buffer).setUint32(MAGIC.length, header.length, true);
  bytes.set(header, PREFIX);
  bytes.set(state, PREFIX + header.length);
  return bytes;
}

/** A checkpoint that has been read. */
export interface Checkpoint {
  readonly position: Position;
  /** Model and optimizer, for {@link restoreState}. */
  readonly state: ArrayBuffer;
}

/**
 * Reads the bytes of a checkpoint.
 *
 * @param place The checkpoint's name in messages.
 * @throws StateError `CORRUPT_CHECKPOINT`.
 */
export async function decodeCheckpoint(bytes: Uint8Array, place: string): Promise<Checkpoint> {
  const { header, state } = await decode(place, bytes);
  return { position: header.position, state };
}

/**
 * Loads the state of a checkpoint into the model and the optimizer of its phase.
 *
 * @throws StateError `STATE_MISMATCH` if it belongs to a different model.
 */
export async function restoreState(state: ArrayBuffer, model: LayersModel, optimizer: PlasticOptimizer): Promise<void> {
  const loaded = load(state, await stateOf(model, optimizer));
  model.setWeights(Object.values(loaded.model));
  const names = Object.keys(loaded.optimizer);
  await optimizer.setWeights(names.map((name) => ({ name, tensor: loaded.optimizer[name] as tf.Tensor })));
  tf.dispose(loaded);
}

function load(bytes: ArrayBuffer, like: TrainingState): TrainingState {
  try {
    return loadState(bytes, like);
  } catch (error) {
    // Old checkpoints were written before optimizers had a step scale.
    const { stepScale: _, ...optimizer } = like.optimizer;
    try {
      return loadState(bytes, { ...like, optimizer });
    } catch {
      throw error;
    }
  }
}

async function decode(
  place: string,
  bytes: Uint8Array,
): Promise<{ header: z.infer<typeof headerSchema>; state: ArrayBuffer }> {
  try {
    const text = (from: number, to: number) => new TextDecoder().decode(bytes.subarray(from, to));
    if (text(0, MAGIC.length) !== MAGIC) throw new Error('it does not start with the magic word');
    const end = PREFIX + new DataView(bytes.buffer, bytes.byteOffset).getUint32(MAGIC.length, true);
    const header = headerSchema.parse(JSON.parse(text(PREFIX, end)));
    const state = new Uint8Array(bytes.subarray(end)); // Buffer.slice() would not copy
    if ((await sha256(state)) !== header.state) throw new Error('its checksum does not match');
    return { header, state: state.buffer };
  } catch (cause) {
    throw new StateError(
      'CORRUPT_CHECKPOINT',
      `${place} is not a checkpoint: ${(cause as Error).message}.`,
      'it was changed from outside; delete the folder of this run to run it again.',
      cause,
    );
  }
}

/** Model and optimizer as one tree. */
type TrainingState = { model: Record<string, tf.Tensor>; optimizer: Record<string, tf.Tensor> };

/** The state of both. They own the tensors. */
async function stateOf(model: LayersModel, optimizer: Pick<PlasticOptimizer, 'getWeights'>): Promise<TrainingState> {
  return {
    model: Object.fromEntries(model.weights.map((weight, i) => [`${i} ${weight.originalName}`, weight.read()])),
    optimizer: Object.fromEntries((await optimizer.getWeights()).map(({ name, tensor }) => [name, tensor])),
  };
}

/** SHA-256 of all weights and moving statistics of a model, or of some layers. */
export async function weightsChecksum(model: { readonly weights: readonly LayerVariable[] }): Promise<string> {
  const values = await Promise.all(model.weights.map((weight) => weight.read().data()));
  const bytes = new Uint8Array(values.reduce((sum, { byteLength }) => sum + byteLength, 0));
  let offset = 0;
  for (const each of values) {
    bytes.set(new Uint8Array(each.buffer, each.byteOffset, each.byteLength), offset);
    offset += each.byteLength;
  }
  return sha256(bytes);
}

async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
