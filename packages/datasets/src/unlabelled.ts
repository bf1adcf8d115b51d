/** Images without labels, for rules that need none. */
import * as tf from '@tensorflow/tfjs-core';
import type { Dataset } from '@tensorflow/tfjs-data';
import { type BatchOptions, imageSet, type SetOptions } from './image-set.js';

/** The input of {@link unlabelled}. */
export interface UnlabelledSource {
  /** The name of the images. */
  readonly name: string;
  /** Height, width, channels. */
  readonly shape: readonly [number, number, number];
  /**
   * Pixels in one piece or several, images one after another, each [height, width, channels]: numbers from 0 to 255.
   */
  readonly pixels: readonly ArrayLike<number>[];
}

/** One batch of images without labels. The code that iterates disposes it. */
export interface UnlabelledBatch {
  /** Normalised pixels, [batch, height, width, channels]. */
  readonly xs: tf.Tensor4D;
  /** {@link UnlabelledBatch} is a tfjs `TensorContainer`, which may have any name. */
  readonly [name: string]: tf.Tensor;
}

/** Images without labels. */
export interface UnlabelledSet {
  /** Its name. */
  readonly name: string;
  /** Height, width, channels. */
  readonly shape: readonly [number, number, number];
  /** SHA-256, in hex, of a zero byte for each image and then the pixels, in the order of the set. */
  readonly checksum: string;
  /** The number of images. */
  readonly size: number;
  /** Bytes of image `index`, in the order of the set: [height, width, channels], row-major, a view. */
  image(index: number): Uint8Array;
  /**
   * The images as batches, in the order and with the augmentation of `Split.batches`.
   *
   * @throws ConfigurationError `UNKNOWN_OPTION`, `BAD_VALUE`.
   */
  batches(options: BatchOptions): Dataset<UnlabelledBatch>;
}

/**
 * Builds a set from images without labels in memory, in Node or in a browser. It keeps the first `trainSize` images of
 * a seeded permutation. Train local rules with them in a step that returns no loss.
 *
 * @throws As `imageSet`.
 * @example
 * ```ts
 * import { unlabelled } from '@ghl/datasets';
 * import '@tensorflow/tfjs-backend-cpu';
 *
 * const set = unlabelled({ name: 'noise', shape: [2, 2, 1], pixels: [new Uint8Array(5 * 4)] }, { scale: 'unit' });
 * await set.batches({ batchSize: 3 }).forEachAsync(({ xs }) => {
 *   console.log(xs.shape.join());
 *   xs.dispose();
 * });
 * // => 3,2,2,1
 * // => 2,2,2,1
 * ```
 */
export function unlabelled(
  { name, shape, pixels }: UnlabelledSource,
  options: Omit<SetOptions, 'validationSize'> = {},
): UnlabelledSet {
  const length = shape.reduce((product, side) => product * side, 1);
  const train = pixels.map((each) => ({ pixels: each, labels: new Uint8Array(Math.ceil(each.length / length)) }));
  const set = imageSet({ name, classes: ['any'], shape, train, test: [] }, { ...options, validationSize: 0 });
  return {
    name,
    shape,
    checksum: set.checksum,
    size: set.train.size,
    image: set.train.image,
    batches: (batchOptions) => set.train.batches(batchOptions).map(({ xs }): UnlabelledBatch => ({ xs: tf.clone(xs) })),
  };
}
