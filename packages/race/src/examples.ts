/** The model and the examples of a phase: all layers and images, or the rest of the layers and their activations. */
import type { BatchOptions } from '@ghl/datasets';
import type * as tf from '@tensorflow/tfjs-core';

/** A model, or a part of one. */
export interface AppliedModel {
  /** Computes the output, for training or for inference. */
  apply(x: tf.Tensor, options: { training: boolean }): unknown;
}

/** Labelled examples. A `Split` of `@ghl/datasets` is one. */
export interface Examples {
  /** The number of examples. */
  readonly size: number;
  /** The batches of the epoch `startEpoch`. */
  batches(options: BatchOptions): BatchSource;
}

/** Training, validation and test examples. An `ImageSet` of `@ghl/datasets` has them. */
export interface ExampleSet {
  /** The examples to train on. */
  readonly train: Examples;
  /** The examples held out for choices; there may be none. */
  readonly validation: Examples;
  /** The test examples. */
  readonly test: Examples;
}

/** The batches of one epoch. */
export interface BatchSource {
  /** An iterator over the batches, whose tensors the caller disposes of. */
  iterator(): Promise<Pick<AsyncIterator<ExampleBatch>, 'next'>>;
}

/** Examples and their labels. */
export interface ExampleBatch {
  /** Images or activations, [batch, …]. */
  readonly xs: tf.Tensor;
  /** Labels, one-hot, [batch, classes]. */
  readonly ys: tf.Tensor2D;
}
