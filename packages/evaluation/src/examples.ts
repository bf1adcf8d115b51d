/** The examples that an evaluation reads: tensors in memory, or a dataset that streams batches. */
import { DataError } from '@ghl/core';
import { checkNumber } from '@ghl/core/plugin';
import * as tf from '@tensorflow/tfjs-core';

/** Inputs of a model. */
export interface Inputs {
  /** [examples, …]. */
  readonly xs: tf.Tensor;
}

/** Inputs with their labels. */
export interface Labelled extends Inputs {
  /** Labels, one-hot, [examples, classes]. */
  readonly ys: tf.Tensor2D;
}

/** An iterator over batches. */
export interface BatchIterator<Batch extends Inputs> {
  /** The next batch. */
  next(): Promise<IteratorResult<Batch>>;
}

/** Batches in sequence, such as a `tf.data.Dataset`. The reader disposes of each batch. */
export interface Batches<Batch extends Inputs> {
  /** Starts at the first batch. */
  iterator(): Promise<BatchIterator<Batch>>;
}

/** Examples with labels: tensors, which the caller keeps, or batches, such as `split.batches(…)` of a dataset. */
export type Examples = Labelled | Batches<Labelled>;

/** Examples without labels, or with labels that are not read. */
export type Unlabelled = Inputs | Batches<Inputs>;

/** Options of everything that reads examples. */
export interface ReadOptions {
  /** Examples in a batch, for examples that are tensors. A dataset has its own batches. Default 100. */
  readonly batchSize?: number;
  /** Called after each batch with the number of examples read so far. The next batch waits for it. */
  readonly onBatch?: (examples: number) => void | Promise<void>;
}

/** Names of the options in {@link ReadOptions}. */
export const READ_OPTIONS = ['batchSize', 'onBatch'] as const;

/**
 * Calls `visit` with each batch, and disposes of the batch.
 *
 * @param name The name of the examples in messages.
 * @param visit Also receives the number of examples before the batch.
 * @throws DataError `NO_EXAMPLES`; ConfigurationError `BAD_VALUE` for a batch size below 1.
 */
export async function eachBatch<Batch extends Inputs>(
  name: string,
  examples: Batch | Batches<Batch>,
  { batchSize = 100, onBatch }: ReadOptions,
  visit: (batch: Batch, first: number) => Promise<void>,
): Promise<void> {
  checkNumber('batchSize', batchSize, { least: 1 });
  let count = 0;
  const batches = 'iterator' in examples ? await examples.iterator() : slices(examples, Math.floor(batchSize));
  for (let next = await batches.next(); !next.done; next = await batches.next()) {
    const batch = next.value;
    try {
      await visit(batch, count);
      count += batch.xs.shape[0] as number;
    } finally {
      tf.dispose(batch as unknown as tf.NamedTensorMap);
    }
    await onBatch?.(count);
  }
  if (count > 0) return;
  throw new DataError(
    'NO_EXAMPLES',
    `${name} has no examples.`,
    'pass at least one, and a dataset that is not at its end.',
  );
}

function* slices<Batch extends Inputs>({ xs, ys }: Batch & Partial<Labelled>, size: number): Generator<Batch> {
  const count = xs.shape[0] as number;
  for (let from = 0; from < count; from += size) {
    const filled = Math.min(size, count - from);
    const slice = (tensor: tf.Tensor) => tf.slice(tensor, from, filled);
    yield { xs: slice(xs), ...(ys && { ys: slice(ys) }) } as unknown as Batch;
  }
}
