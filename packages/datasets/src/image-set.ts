/**
 * A labelled set of images, split into training, validation and test part, that streams seeded, resumable batches from
 * bytes: floats exist for one batch at a time.
 */
import { ConfigurationError, DataError } from '@ghl/core';
import { checkBoolean, checkChoice, checkOptions } from '@ghl/core/plugin';
import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex } from '@noble/hashes/utils.js';
import * as tf from '@tensorflow/tfjs-core';
import { type Dataset, generator } from '@tensorflow/tfjs-data';
import { permutation, random } from './random.js';

/** One batch for `model.fitDataset` and `model.evaluateDataset`. The code that iterates disposes it. */
export interface Batch {
  /** Normalised pixels, [batch, height, width, channels]. */
  readonly xs: tf.Tensor4D;
  /** Labels, one-hot, [batch, classes]. */
  readonly ys: tf.Tensor2D;
  /** {@link Batch} is a tfjs `TensorContainer`, which may have any name. */
  readonly [name: string]: tf.Tensor;
}

/** Options of {@link Split.batches}. */
export interface BatchOptions {
  /** Images in a batch. The last batch of an epoch is smaller unless `dropRemainder` is true. */
  readonly batchSize: number;
  /** Seed of order and augmentation. Default 0. */
  readonly seed?: number;
  /** Whether to use a new order in every epoch, and not that of the split. Default true. */
  readonly shuffle?: boolean;
  /**
   * Pad by 4 black pixels, crop back at a random place, and flip left to right every second time, as usual for CIFAR
   * (He et al., "Deep residual learning for image recognition", section 4.2). Default false.
   */
  readonly augment?: boolean;
  /** Number of the first epoch, from 0. Default 0. */
  readonly startEpoch?: number;
  /** Batches of the first epoch to omit, because they were processed before. Default 0. */
  readonly startBatch?: number;
  /** Whether to omit the last batch of an epoch if it is smaller than `batchSize`. Default false. */
  readonly dropRemainder?: boolean;
}

/** The training, validation or test part of an {@link ImageSet}. */
export interface Split {
  /** The number of images. */
  readonly size: number;
  /** Class index of image `index`, in the order of the split. */
  label(index: number): number;
  /** Bytes of image `index`, in the order of the split: [height, width, channels], row-major, a view. */
  image(index: number): Uint8Array;
  /**
   * The images as batches. Every reading of the dataset is the next epoch. The order is a function of (seed, epoch),
   * and the augmentation of (seed, epoch, index), so `{ startEpoch, startBatch }` resumes exactly at the position of
   * another process. An epoch is counted when its first batch is requested. `fitDataset` reads the dataset once per
   * epoch, if `batchesPerEpoch` is not set.
   *
   * @throws ConfigurationError `UNKNOWN_OPTION`, `BAD_VALUE` (also for a `startBatch` that the epoch does not have).
   */
  batches(options: BatchOptions): Dataset<Batch>;
}

/** Labelled images in three parts. */
export interface ImageSet {
  /** Its name. For a set of this package, the argument of `dataset()` of `@ghl/datasets/node`. */
  readonly name: string;
  /** Names of the classes, by label. */
  readonly classes: readonly string[];
  /** Height, width, channels. */
  readonly shape: readonly [number, number, number];
  /**
   * SHA-256, in hex, of the images in use: the labels and then the pixels of the training, the validation and the test
   * part, in the order of the split. Each value is a byte; labels have four bytes if there are more than 256 classes.
   */
  readonly checksum: string;
  /** The images to train on. */
  readonly train: Split;
  /** Images held out of the training images, for choices. */
  readonly validation: Split;
  /** The test images: all, in the order of the files. */
  readonly test: Split;
}

/** `(x − mean) / std`, for x in [0, 1]: one number for all channels, or one for each. */
export interface Normalisation {
  /** Subtracted. */
  readonly mean: number | readonly number[];
  /** Divided by; above 0. */
  readonly std: number | readonly number[];
}

/** Options that every dataset takes. */
export interface SetOptions {
  /** Images to train on. Default: all except the validation images. */
  readonly trainSize?: number;
  /** Images to hold out of the training images. Default: a tenth of them. */
  readonly validationSize?: number;
  /** Seed of the choice of images (not of the order of batches). Default 0. */
  readonly seed?: number;
  /** Default: mean 0.5, std 0.5, which maps bytes to [−1, 1]. */
  readonly normalise?: Normalisation;
  /**
   * In place of `normalise`: `'unit'` divides bytes by 255; `'standardised'` gives each channel mean 0 and standard
   * deviation 1 over all pixels of the training images in use.
   */
  readonly scale?: 'unit' | 'standardised';
}

/** Names of the options in {@link SetOptions}. */
export const SET_OPTIONS = ['trainSize', 'validationSize', 'seed', 'normalise', 'scale'] as const;

/** Images with their labels, in arrays of any kind. {@link Records} are such images. */
export interface LabelledImages {
  /** Pixels, images one after another, each [height, width, channels] row-major: whole numbers from 0 to 255. */
  readonly pixels: ArrayLike<number>;
  /** Class index of each image: a whole number from 0 to the number of classes less one. */
  readonly labels: ArrayLike<number>;
}

/** The input of {@link imageSet}. */
export interface ImageSource {
  /** The name of the set. */
  readonly name: string;
  /** Names of the classes, by label; at least one. */
  readonly classes: readonly string[];
  /** Height, width, channels. */
  readonly shape: readonly [number, number, number];
  /** Training images, in one piece or several: at least one image. */
  readonly train: readonly LabelledImages[];
  /** Test images, in one piece or several; there may be none. */
  readonly test: readonly LabelledImages[];
}

/** Images that have been checked. */
interface Checked {
  readonly pixels: Uint8Array;
  readonly labels: ArrayLike<number>;
}

/** One part of a set. Labels have one byte each, or four if there are more than 256 classes. */
interface Part extends Checked {
  readonly labels: Uint8Array | Uint32Array;
}

/**
 * Builds a set from images in memory, in Node or in a browser. In a seeded permutation of the training images, the
 * first `validationSize` images are the validation part, and the next `trainSize` the training part. The validation
 * part therefore does not depend on `trainSize`. The images are copied.
 *
 * @throws ConfigurationError `UNKNOWN_OPTION`; `BAD_VALUE`, also if a field of {@link ImageSource} has another type.
 * @throws DataError `TRAIN_SIZE` or `VALIDATION_SIZE` if there are too few images. `DATA_CORRUPT` if the number of
 * pixels or labels is wrong, a pixel is not a whole number from 0 to 255, or a label has no class.
 * @example
 * ```ts
 * import { imageSet } from '@ghl/datasets';
 * import '@tensorflow/tfjs-backend-cpu';
 *
 * const images = (count: number) => ({
 *   pixels: new Uint8Array(count * 4 * 4),
 *   labels: Array.from({ length: count }, (_, i) => i % 2),
 * });
 * const source = { name: 'blank', classes: ['even', 'odd'], shape: [4, 4, 1] as const };
 * const set = imageSet({ ...source, train: [images(20)], test: [images(10)] });
 * console.log(set.train.size, set.validation.size, set.test.size);
 * // => 18 2 10
 * ```
 */
export function imageSet(source: ImageSource, options: SetOptions = {}): ImageSet {
  checkOptions('imageSet', options, SET_OPTIONS);
  const { seed = 0 } = options;
  checkWhole('seed', seed, Number.MIN_SAFE_INTEGER);
  checkSource(source);
  const train = source.train.map((images, i) => checkImages(source, `train[${i}]`, images));
  const test = source.test.map((images, i) => checkImages(source, `test[${i}]`, images));
  const count = train.reduce((sum, { labels }) => sum + labels.length, 0);
  if (count === 0) {
    throw new DataError('TRAIN_SIZE', `${source.name} has no training images.`, 'pass at least one.');
  }
  const { validationSize = Math.floor(count / 10) } = options;
  checkWhole('validationSize', validationSize, 0);
  if (validationSize >= count) {
    throw new DataError(
      'VALIDATION_SIZE',
      `validationSize ${validationSize} leaves none of ${count} images to train on.`,
      `give at most ${count - 1}; validation is held out of the training images.`,
    );
  }
  const { trainSize = count - validationSize } = options;
  checkWhole('trainSize', trainSize, 1);
  if (trainSize > count - validationSize) {
    throw new DataError(
      'TRAIN_SIZE',
      `trainSize is ${trainSize}; ${source.name} has ${count} training images, of which ${validationSize} are held out.`,
      `give at most ${count - validationSize}, or a smaller validationSize.`,
    );
  }
  const order = permutation(count, random('split', seed));
  return splitSet(source, options, {
    train: gather(source, train, order.subarray(validationSize, validationSize + trainSize)),
    validation: gather(source, train, order.subarray(0, validationSize)),
    test: gather(source, test),
  });
}

/** A set of three parts. */
export function splitSet(
  { name, classes, shape }: Pick<ImageSource, 'name' | 'classes' | 'shape'>,
  options: SetOptions,
  parts: { readonly train: Part; readonly validation: Part; readonly test: Part },
): ImageSet {
  const scale = scaleOf(shape[2], normalisationOf(options, shape[2], parts.train.pixels));
  const hash = sha256.create();
  for (const { labels, pixels } of [parts.train, parts.validation, parts.test]) {
    hash.update(new Uint8Array(labels.buffer, labels.byteOffset, labels.byteLength)).update(pixels);
  }
  const split = (part: Part) => splitOf(part, classes.length, shape, scale);
  return {
    name,
    classes,
    shape,
    checksum: bytesToHex(hash.digest()),
    train: split(parts.train),
    validation: split(parts.validation),
    test: split(parts.test),
  };
}

function checkSource(source: ImageSource): void {
  const refuse = (what: string, value: unknown, help: string) => {
    throw new ConfigurationError('BAD_VALUE', `${what} is ${valueText(value)}.`, help);
  };
  if (typeof source !== 'object' || source === null) {
    refuse('The source of imageSet', source, 'pass { name, classes, shape, train, test }.');
  }
  const { name, classes, shape } = source;
  if (typeof name !== 'string') refuse('name', name, 'pass a string.');
  if (!Array.isArray(classes) || classes.length === 0 || !classes.every((each) => typeof each === 'string')) {
    refuse('classes', classes, 'pass the names of the classes, at least one, in the order of the labels.');
  }
  if (!Array.isArray(shape) || shape.length !== 3 || !shape.every((side) => Number.isSafeInteger(side) && side > 0)) {
    refuse('shape', shape, 'pass [height, width, channels], whole numbers of at least 1.');
  }
  for (const part of ['train', 'test'] as const) {
    if (!Array.isArray(source[part])) refuse(part, source[part], 'pass an array of { pixels, labels }.');
  }
}

/** Throws unless the images fit shape and classes; returns them with their pixels as bytes. */
function checkImages({ classes, shape }: ImageSource, where: string, images: LabelledImages): Checked {
  const [pixels, labels] = (['pixels', 'labels'] as const).map((key) => {
    const values = images?.[key];
    if (typeof values === 'object' && values !== null && Number.isSafeInteger(values.length)) return values;
    throw new ConfigurationError(
      'BAD_VALUE',
      `${where}.${key} is ${valueText(values)}.`,
      'pass an array of numbers, of any kind; of an ArrayBuffer, new Uint8Array(buffer).',
    );
  }) as [ArrayLike<number>, ArrayLike<number>];
  const length = shape[0] * shape[1] * shape[2];
  if (pixels.length !== labels.length * length) {
    throw new DataError(
      'DATA_CORRUPT',
      `${where} has ${labels.length} labels and ${pixels.length} pixels, where images are ${shape.join(' × ')}.`,
      'pass a label for every image, and the shape that the images have.',
    );
  }
  for (let i = 0; i < labels.length; i++) {
    if (isWhole(labels[i], classes.length)) continue;
    throw new DataError(
      'DATA_CORRUPT',
      `${where}: image ${i} has the label ${String(labels[i])}.`,
      `labels are whole numbers from 0 to ${classes.length - 1}, one for each of the ${classes.length} classes.`,
    );
  }
  return { pixels: asBytes(where, pixels, length), labels };
}

/** Pixels as bytes: the same memory where they are bytes already. */
function asBytes(where: string, pixels: ArrayLike<number>, length: number): Uint8Array {
  if (pixels instanceof Uint8Array) return pixels;
  if (pixels instanceof Uint8ClampedArray) return new Uint8Array(pixels.buffer, pixels.byteOffset, pixels.length);
  for (let at = 0; at < pixels.length; at++) {
    if (isWhole(pixels[at], 256)) continue;
    throw new DataError(
      'DATA_CORRUPT',
      `${where}: image ${Math.floor(at / length)} has the pixel ${String(pixels[at])} at ${at % length}.`,
      'pixels are whole numbers from 0 to 255: multiply those between 0 and 1 by 255, and round them.',
    );
  }
  return Uint8Array.from(pixels);
}

const isWhole = (value: unknown, below: number) =>
  Number.isInteger(value) && (value as number) >= 0 && (value as number) < below;

/** A value of the wrong kind as a message can hold it. */
function valueText(value: unknown): string {
  if (Array.isArray(value)) return `[${value.slice(0, 8).map(valueText).join()}${value.length > 8 ? ',…' : ''}]`;
  if (typeof value === 'string') return JSON.stringify(value);
  return typeof value === 'object' && value !== null ? `of the kind ${value.constructor?.name}` : String(value);
}

/** Copies the images numbered `order` across `files` (default: all, in order) into one piece. */
function gather({ classes, shape }: ImageSource, files: readonly Checked[], order?: Uint32Array): Part {
  const length = shape[0] * shape[1] * shape[2];
  const places = files.flatMap((file) => Array.from({ length: file.labels.length }, (_, at) => ({ file, at })));
  const count = order?.length ?? places.length;
  const pixels = new Uint8Array(count * length);
  const labels = new (classes.length > 256 ? Uint32Array : Uint8Array)(count);
  for (let i = 0; i < count; i++) {
    const { file, at } = places[order?.[i] ?? i]!;
    labels[i] = file.labels[at]!;
    pixels.set(file.pixels.subarray(at * length, (at + 1) * length), i * length);
  }
  return { pixels, labels };
}

/** The option `normalise`, or the normalisation that `scale` names. */
function normalisationOf(
  { normalise, scale }: SetOptions,
  channels: number,
  pixels: Uint8Array,
): Normalisation | undefined {
  if (scale === undefined) return normalise;
  checkChoice('scale', scale, ['unit', 'standardised']);
  if (normalise !== undefined) {
    throw new ConfigurationError('BAD_VALUE', `scale is '${scale}', and normalise is given too.`, 'give one of both.');
  }
  return scale === 'unit' ? { mean: 0, std: 1 } : statisticsOf(channels, pixels);
}

/** Mean and standard deviation of each channel, from the number of its pixels with each value. */
function statisticsOf(channels: number, pixels: Uint8Array): Normalisation {
  const counts = new Float64Array(channels * 256);
  for (let at = 0; at < pixels.length; at++) counts[(at % channels) * 256 + pixels[at]!]!++;
  const total = pixels.length / channels;
  const expectation = (channel: number, f: (value: number) => number) => {
    let sum = 0;
    for (let byte = 0; byte < 256; byte++) sum += counts[channel * 256 + byte]! * f(byte / 255);
    return sum / total;
  };
  const mean = Array.from({ length: channels }, (_, channel) => expectation(channel, (value) => value));
  const std = mean.map((m, channel) => Math.sqrt(expectation(channel, (value) => (value - m) ** 2)));
  // A channel of one value is 0 with any divisor.
  return { mean, std: std.map((each) => (each > 0 ? each : 1)) };
}

/** The normalised value of each byte, channel by channel: [channels · 256]. */
function scaleOf(channels: number, normalise: Normalisation = { mean: 0.5, std: 0.5 }): Float32Array {
  checkOptions('normalise', normalise, ['mean', 'std']);
  const { mean, std } = normalise;
  const means = perChannel('normalise.mean', mean, channels);
  const stds = perChannel('normalise.std', std, channels);
  if (!stds.every((each) => each > 0)) {
    throw new ConfigurationError('BAD_VALUE', `normalise.std is ${valueText(std)}.`, 'give numbers above 0.');
  }
  const scale = Float32Array.from(
    { length: channels * 256 },
    (_, i) => ((i & 255) / 255 - means[i >> 8]!) / stds[i >> 8]!,
  );
  if (scale.every(Number.isFinite)) return scale;
  throw new ConfigurationError(
    'BAD_VALUE',
    `normalise.mean is ${valueText(mean)} and normalise.std ${valueText(std)}.`,
    'pass numbers with which (x − mean) / std is finite in float32.',
  );
}

function perChannel(name: string, value: number | readonly number[], channels: number): readonly number[] {
  const values = typeof value === 'number' ? Array<number>(channels).fill(value) : value;
  if (!Array.isArray(values) || values.length !== channels || !values.every(Number.isFinite)) {
    throw new ConfigurationError(
      'BAD_VALUE',
      `${name} is ${valueText(value)}.`,
      `give a number, or ${channels}: one a channel.`,
    );
  }
  return values;
}

const PAD = 4;

function splitOf(
  { pixels, labels }: Part,
  classes: number,
  [height, width, channels]: readonly [number, number, number],
  scale: Float32Array,
): Split {
  const size = labels.length;
  const length = height * width * channels;

  /**
   * Writes image `index`, its rows and columns shifted by `down` and `right`, as floats. Pixels outside the image are
   * black.
   */
  function write(xs: Float32Array, to: number, index: number, down: number, right: number, flip: boolean): void {
    for (let row = 0; row < height; row++) {
      const y = row + down;
      for (let column = 0; column < width; column++) {
        const x = (flip ? width - 1 - column : column) + right;
        const inside = y >= 0 && y < height && x >= 0 && x < width;
        const from = index * length + (y * width + x) * channels;
        for (let channel = 0; channel < channels; channel++) {
          xs[to++] = scale[channel * 256 + (inside ? pixels[from + channel]! : 0)]!;
        }
      }
    }
  }

  return {
    size,
    label: (index) => labels[checkIndex(index, size)]!,
    image: (index) => pixels.subarray(checkIndex(index, size) * length, (index + 1) * length),
    batches(options) {
      checkOptions('batches', options, BATCH_OPTIONS);
      const { batchSize, seed = 0, shuffle = true, augment = false, dropRemainder = false } = options;
      const { startEpoch = 0, startBatch = 0 } = options;
      checkWhole('batchSize', batchSize, 1);
      checkWhole('seed', seed, Number.MIN_SAFE_INTEGER);
      checkWhole('startEpoch', startEpoch, 0);
      checkWhole('startBatch', startBatch, 0);
      checkBoolean('shuffle', shuffle);
      checkBoolean('augment', augment);
      checkBoolean('dropRemainder', dropRemainder);
      const count = dropRemainder ? Math.floor(size / batchSize) : Math.ceil(size / batchSize);
      if (startBatch > 0 && startBatch >= count) {
        throw new ConfigurationError(
          'BAD_VALUE',
          `startBatch is ${startBatch}; an epoch has ${count} batches.`,
          `after the last batch, continue with { startEpoch: ${startEpoch + 1}, startBatch: 0 }.`,
        );
      }

      let nextEpoch = startEpoch;
      let nextBatch = startBatch;
      // fitDataset opens an iterator before the first epoch and never reads it, so an epoch begins with its first
      // requested batch. The body of a generator waits for that.
      return generator<Batch>(function* () {
        const epoch = nextEpoch++;
        const first = nextBatch;
        nextBatch = 0;
        const order = { batchSize, seed, shuffle, startEpoch: epoch, startBatch: first, dropRemainder };
        for (const indices of batchIndices(size, order)) {
          const filled = indices.length;
          const xs = new Float32Array(filled * length);
          const ys = new Float32Array(filled * classes);
          for (let i = 0; i < filled; i++) {
            const index = indices[i]!;
            const draw = augment ? random('augment', seed, epoch, index) : undefined;
            const shift = () => (draw ? Math.floor(draw() * (2 * PAD + 1)) - PAD : 0);
            write(xs, i * length, index, shift(), shift(), draw !== undefined && draw() < 0.5);
            ys[i * classes + labels[index]!] = 1;
          }
          yield {
            xs: tf.tensor4d(xs, [filled, height, width, channels]),
            ys: tf.tensor2d(ys, [filled, classes]),
          };
        }
      } as () => Generator<Batch>);
    },
  };
}

/**
 * The batches of one epoch of {@link Split.batches}, as indices of images: for an iteration over other values of the
 * same images, such as stored activations.
 *
 * @param size The number of images of the split.
 * @param options The options of `batches`, of which `startEpoch` is the epoch.
 */
export function* batchIndices(size: number, options: Omit<BatchOptions, 'augment'>): Generator<Uint32Array> {
  const { batchSize, seed = 0, shuffle = true, startEpoch = 0, startBatch = 0, dropRemainder = false } = options;
  const order = shuffle
    ? permutation(size, random('order', seed, startEpoch))
    : Uint32Array.from({ length: size }, (_, i) => i);
  const end = dropRemainder ? size - (size % batchSize) : size;
  for (let start = startBatch * batchSize; start < end; start += batchSize) yield order.slice(start, start + batchSize);
}

const BATCH_OPTIONS = ['batchSize', 'seed', 'shuffle', 'augment', 'startEpoch', 'startBatch', 'dropRemainder'];

/**
 * Throws unless the value is a whole number of at least `least`.
 *
 * @throws ConfigurationError `BAD_VALUE`.
 */
export function checkWhole(name: string, value: unknown, least: number): void {
  if (Number.isSafeInteger(value) && (value as number) >= least) return;
  throw new ConfigurationError(
    'BAD_VALUE',
    `${name} is ${valueText(value)}.`,
    `give a whole number${least > Number.MIN_SAFE_INTEGER ? ` of at least ${least}` : ''}.`,
  );
}

function checkIndex(index: number, size: number): number {
  if (Number.isInteger(index) && index >= 0 && index < size) return index;
  throw new ConfigurationError('BAD_VALUE', `There is no image ${index}.`, `the split has ${size} images, from 0.`);
}
