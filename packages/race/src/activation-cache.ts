/**
 * Activations of a frozen prefix, computed once per image. A phase that trains only the rest of a model then takes each
 * step on them, and computes the same numbers, bit for bit, as on the images.
 */
import { ConfigurationError } from '@ghl/core';
import { type BatchOptions, batchIndices, type ImageSet, type Split } from '@ghl/datasets';
import type { AppliedPart, FrozenPrefix, PlasticOptimizer } from '@ghl/learner';
import * as tf from '@tensorflow/tfjs-core';
import { weightsChecksum } from './checkpoint.js';
import { EVALUATION_BATCH } from './evaluation.js';
import type { AppliedModel, ExampleSet, Examples } from './examples.js';
import type { ActivationSource, ReadableLog, RunRecord } from './run-record.js';

/** The most bytes of activations to keep. */
export interface CacheLimits {
  /** In memory. */
  readonly memory: number;
  /** In the storage of the run, for activations that do not fit in memory. */
  readonly storage: number;
}

/** 1 GiB in memory, or else 16 GiB in the storage of the run. */
export const defaultCacheLimits: CacheLimits = { memory: 2 ** 30, storage: 2 ** 34 };

/** The input of {@link cacheActivations}. */
export interface CacheRequest {
  readonly optimizer: PlasticOptimizer;
  readonly data: ImageSet;
  /** Images in a batch of training. */
  readonly batch: number;
  readonly record: RunRecord;
  readonly limits: CacheLimits;
  /** The backend's choices, on which the activations depend within rounding. */
  readonly numerics: ActivationSource;
  /** Called after each batch of the prefix with its number of images; the next batch waits for it. */
  readonly onImages?: (count: number) => Promise<void>;
}

/** The rest of a model, and the activations that it trains on. */
export interface ActivationCache {
  readonly model: AppliedModel;
  readonly data: ExampleSet;
  /** The name of the last layer of the prefix. */
  readonly layer: string;
  /** Bytes of all activations. */
  readonly bytes: number;
  readonly place: 'memory' | 'storage';
  /** Frees the memory. The record keeps stored activations for a resumed phase, until `removeActivations()`. */
  close(): Promise<void>;
}

const SPLITS = ['train', 'validation', 'test'] as const;

/**
 * Computes the activations of the frozen prefix of a phase, for all images. The images must not be augmented.
 *
 * @returns null if the phase has no frozen prefix, if a modulator reads the images, if the activations exceed the
 * limits, or if they depend on the batch in which an image is: on some backends, rounding does.
 */
export async function cacheActivations(request: CacheRequest): Promise<ActivationCache | null> {
  const { optimizer, data, batch, limits } = request;
  const frozen = optimizer.frozenPrefix();
  if (frozen === null || optimizer.reads.includes('input')) return null;
  const { layer, shape, prefix, rest } = frozen;
  const width = shape.reduce((product, size) => product * size, 1);
  const images = SPLITS.reduce((sum, split) => sum + data[split].size, 0);
  const bytes = images * width * Float32Array.BYTES_PER_ELEMENT;
  const place = bytes <= limits.memory ? 'memory' : 'storage';
  if (place === 'storage' && bytes > limits.storage) return null;
  if (!(await isIndependentOfBatch(prefix, data.train, batch))) return null;

  const rows = place === 'memory' ? new RowsInMemory(width) : await openRows(request, frozen, width, bytes);
  if (rows === null) return null;
  try {
    await fill(rows, images, request, prefix);
  } catch (error) {
    await rows.close();
    throw error;
  }
  const classes = data.classes.length;
  const sources = { train: 0, validation: data.train.size, test: data.train.size + data.validation.size };
  const examples = (split: keyof ExampleSet) =>
    cachedExamples(data[split], { rows, first: sources[split], shape, classes });
  return {
    model: rest,
    data: { train: examples('train'), validation: examples('validation'), test: examples('test') },
    layer,
    bytes,
    place,
    close: () => rows.close(),
  };
}

/** Rows of numbers, which are the activations of one image each. */
interface Rows {
  readonly length: number;
  append(values: Float32Array): Promise<void>;
  /** Called after the last row. */
  complete(): Promise<void>;
  /** The rows of these indices, one after another. */
  read(indices: readonly number[]): Promise<Float32Array>;
  close(): Promise<void>;
}

class RowsInMemory implements Rows {
  readonly #width: number;
  readonly #rows: Float32Array[] = [];

  constructor(width: number) {
    this.#width = width;
  }

  get length(): number {
    return this.#rows.length;
  }

  async append(values: Float32Array): Promise<void> {
    for (let at = 0; at < values.length; at += this.#width) this.#rows.push(values.subarray(at, at + this.#width));
  }

  async complete(): Promise<void> {}

  async read(indices: readonly number[]): Promise<Float32Array> {
    const values = new Float32Array(indices.length * this.#width);
    indices.forEach((index, i) => {
      values.set(this.#rows[index] as Float32Array, i * this.#width);
    });
    return values;
  }

  async close(): Promise<void> {
    this.#rows.length = 0;
  }
}

class StoredRows implements Rows {
  readonly #log: ReadableLog;
  readonly #bytes: number;
  readonly #onComplete: () => Promise<void>;

  constructor(log: ReadableLog, width: number, onComplete: () => Promise<void>) {
    this.#log = log;
    this.#bytes = width * Float32Array.BYTES_PER_ELEMENT;
    this.#onComplete = onComplete;
  }

  get length(): number {
    return this.#log.length / this.#bytes;
  }

  append({ buffer, byteOffset, byteLength }: Float32Array): Promise<void> {
    return this.#log.append(new Uint8Array(buffer, byteOffset, byteLength));
  }

  async complete(): Promise<void> {
    await this.#log.sync();
    await this.#onComplete();
  }

  async read(indices: readonly number[]): Promise<Float32Array> {
    const bytes = new Uint8Array(indices.length * this.#bytes);
    const row = (i: number) => bytes.subarray(i * this.#bytes, (i + 1) * this.#bytes);
    await Promise.all(indices.map((index, i) => this.#log.read(index * this.#bytes, row(i))));
    return new Float32Array(bytes.buffer);
  }

  close(): Promise<void> {
    return this.#log.close();
  }
}

/** The rows in the storage of a run: complete, if an earlier process of this phase computed them, or none. */
async function openRows(
  { data, record, numerics }: CacheRequest,
  { layer, shape, weights }: FrozenPrefix,
  width: number,
  bytes: number,
): Promise<StoredRows | null> {
  const source = { layer, shape, weights: await weightsChecksum({ weights }), images: data.checksum, numerics };
  const log = await record.openActivations(source, bytes);
  return log && new StoredRows(log, width, () => record.completeActivations(source));
}

/** Appends the activations of all images, computed as an evaluation would. */
async function fill(rows: Rows, images: number, { data, onImages }: CacheRequest, prefix: AppliedPart): Promise<void> {
  if (rows.length === images) return;
  for (const split of SPLITS) {
    if (data[split].size === 0) continue;
    const batches = await data[split].batches({ batchSize: EVALUATION_BATCH, shuffle: false }).iterator();
    for (let next = await batches.next(); !next.done; next = await batches.next()) {
      const { xs, ys } = next.value;
      try {
        await rows.append(await valuesOf(() => prefix.apply(xs, { training: false })));
      } finally {
        tf.dispose([xs, ys]);
      }
      await onImages?.(ys.shape[0]);
    }
  }
  await rows.complete();
}

/** Computes a tensor, reads its values and disposes of it. */
async function valuesOf(compute: () => unknown): Promise<Float32Array> {
  const tensor = tf.tidy(() => tf.clone(compute() as tf.Tensor));
  try {
    return (await tensor.data()) as Float32Array;
  } finally {
    tensor.dispose();
  }
}

/**
 * Whether the activations of an image have the same bits in a training step as in an evaluation: in batches of either
 * size, at any place in them, in the last batch, with and without a gradient tape. A backend may choose its kernel, and
 * with it the order of a sum, by the size of the batch, and may compute the edge of a batch with a separate kernel.
 */
async function isIndependentOfBatch(prefix: AppliedPart, split: Split, batch: number): Promise<boolean> {
  const expected = new Map<number, Float32Array>();
  const covered = Math.max(batch, EVALUATION_BATCH);
  const each = async (
    size: number,
    compute: (xs: tf.Tensor) => tf.Tensor,
    check: (index: number, row: Float32Array) => boolean,
  ) => {
    const count = Math.ceil(split.size / size);
    const numbers = new Set([...Array(Math.min(count, Math.ceil(covered / size))).keys(), count - 1]);
    for (const startBatch of numbers) {
      const batches = await split.batches({ batchSize: size, shuffle: false, startBatch }).iterator();
      const { xs, ys } = (await batches.next()).value;
      const values = await valuesOf(() => compute(xs));
      tf.dispose([xs, ys]);
      const width = values.length / ys.shape[0];
      for (let i = 0; i < ys.shape[0]; i++) {
        if (!check(startBatch * size + i, values.subarray(i * width, (i + 1) * width))) return false;
      }
    }
    return true;
  };
  const inStep = (xs: tf.Tensor) => prefix.apply(xs, { training: true }) as tf.Tensor;
  const matches = (index: number, row: Float32Array) => sameBits(row, expected.get(index) ?? row);
  await each(
    EVALUATION_BATCH,
    (xs) => prefix.apply(xs, { training: false }) as tf.Tensor,
    (index, row) => {
      expected.set(index, row);
      return true;
    },
  );
  return (
    (await each(batch, shifted(inStep), matches)) &&
    (await each(batch, (xs) => onTape(() => shifted(inStep)(xs)), matches))
  );
}

/** Computes on a batch whose first example has become the last. */
const shifted = (compute: (xs: tf.Tensor) => tf.Tensor) => (xs: tf.Tensor) => {
  if (xs.shape[0] === 1) return compute(xs);
  const roll = (x: tf.Tensor, by: number) => tf.concat([tf.slice(x, by), tf.slice(x, 0, by)]);
  return roll(compute(roll(xs, 1)), (xs.shape[0] as number) - 1);
};

/** Computes as within a gradient. */
function onTape(compute: () => tf.Tensor): tf.Tensor {
  const results: tf.Tensor[] = [];
  const forward = (x: tf.Tensor) => {
    results.push(tf.keep(tf.clone(compute())));
    return tf.square(x);
  };
  tf.grad(forward)(tf.scalar(1));
  const [result] = results as [tf.Tensor];
  const copy = tf.clone(result);
  result.dispose();
  return copy;
}

function sameBits(a: Float32Array, b: Float32Array): boolean {
  return a.every((value, i) => Object.is(value, b[i]));
}

/** The activations of a split as batches in the order of its images, of which the next is read during a step. */
function cachedExamples(
  { size, label }: Split,
  { rows, first, shape, classes }: { rows: Rows; first: number; shape: readonly number[]; classes: number },
): Examples {
  async function* batches(options: BatchOptions) {
    const read = async (indices: Uint32Array) => {
      const values = await rows.read(Array.from(indices, (index) => first + index));
      return { indices, values };
    };
    let ahead: ReturnType<typeof read> | undefined;
    const deliver = async (current: ReturnType<typeof read>) => {
      const { indices, values } = await current;
      const ys = new Float32Array(indices.length * classes);
      indices.forEach((index, i) => {
        ys[i * classes + label(index)] = 1;
      });
      return { xs: tf.tensor(values, [indices.length, ...shape]), ys: tf.tensor2d(ys, [indices.length, classes]) };
    };
    for (const indices of batchIndices(size, options)) {
      const current = ahead;
      ahead = read(indices);
      ahead.catch(() => {}); // it rejects when it is delivered
      if (current !== undefined) yield await deliver(current);
    }
    if (ahead !== undefined) yield await deliver(ahead);
  }
  return {
    size,
    batches(options) {
      if (options.augment) {
        throw new ConfigurationError(
          'BAD_VALUE',
          'augment is true for activations of images that were not augmented.',
          'train on the images.',
        );
      }
      return { iterator: async () => batches(options) };
    },
  };
}
