/** The batches on which all candidates train. They are numbers, so that other processes can get them. */
import * as tf from '@tensorflow/tfjs-core';
import { type DataChoice, loadData } from '../files/data.js';

/** Number of different batches. The time of a step does not depend on the batch. */
const BATCHES = 4;

/** Images and labels. */
export interface Batches {
  /** Name of the dataset. */
  readonly dataset: string;
  /** Of an image: height, width, channels. */
  readonly shape: readonly [number, number, number];
  readonly classes: readonly string[];
  /** Images in a batch. */
  readonly size: number;
  /** Each [size, height, width, channels]. */
  readonly images: readonly Float32Array[];
  /** Each one-hot, [size, classes]. */
  readonly labels: readonly Float32Array[];
}

/**
 * Loads the first batches of the training images.
 *
 * @throws As {@link loadData}.
 */
export async function loadBatches(choice: DataChoice, size: number): Promise<Batches> {
  const data = await loadData({ ...choice, trainSize: BATCHES * size, validationSize: 0 });
  const images: Float32Array[] = [];
  const labels: Float32Array[] = [];
  const batches = await data.train.batches({ batchSize: size }).iterator();
  for (let next = await batches.next(); !next.done; next = await batches.next()) {
    const { xs, ys } = next.value;
    images.push(Float32Array.from(await xs.data()));
    labels.push(Float32Array.from(await ys.data()));
    tf.dispose([xs, ys]);
  }
  const { name: dataset, shape, classes } = data;
  return { dataset, shape, classes, size, images, labels };
}

/** Batch `index`, from 0 and cyclic, as tensors. The caller disposes of them. */
export function batchAt(
  { shape, classes, size, images, labels }: Batches,
  index: number,
): { readonly xs: tf.Tensor4D; readonly ys: tf.Tensor2D } {
  const at = index % images.length;
  return {
    xs: tf.tensor4d(images[at] as Float32Array, [size, ...shape]),
    ys: tf.tensor2d(labels[at] as Float32Array, [size, classes.length]),
  };
}
