/** EMNIST (Cohen, Afshar, Tapson and van Schaik, arXiv:1702.05373): letters and digits in the format of MNIST. */
import { checkChoice } from '@ghl/core/plugin';
import type { Dataset } from '../dataset.js';
import { type FileBytes, type FileOptions, loadFiles } from '../files.js';
import type { ImageSet } from '../image-set.js';
import { EMNIST_SIZES, type EmnistSplit, emnistSource } from '../published.js';
import { parseIdxClasses, type Records } from '../records.js';

/** Options of {@link emnist}. */
export interface EmnistOptions extends FileOptions {
  /**
   * Which characters. `'balanced'` has 47 classes with 2,400 training images each, `'letters'` 26 without case,
   * `'digits'` and `'mnist'` the ten digits. `'byclass'` has all 62 characters, and `'bymerge'` 47 classes, in which
   * letters that look the same in both cases are one. Default `'balanced'`.
   */
  readonly split?: EmnistSplit;
}

const DIGITS = [...'0123456789'];
const UPPER = [...'ABCDEFGHIJKLMNOPQRSTUVWXYZ'];
const LOWER = UPPER.map((letter) => letter.toLowerCase());
const MERGED = [...DIGITS, ...UPPER, ...'abdefghnqrt'];

const CLASSES: Readonly<Record<EmnistSplit, readonly string[]>> = {
  balanced: MERGED,
  letters: LOWER,
  digits: DIGITS,
  mnist: DIGITS,
  byclass: [...DIGITS, ...UPPER, ...LOWER],
  bymerge: MERGED,
};

/**
 * EMNIST: handwritten characters of 28 × 28 × 1. Reads `emnist-balanced-train-images-idx3-ubyte`,
 * `…-train-labels-idx1-…` and the two files of `test`, gzipped or not, from `folder` or `folder/emnist`. The files hold
 * transposed images; they are upright here. The labels of `'letters'`, from 1 in the files, count from 0.
 *
 * The published checksum is that of the archive of all splits, 562 MB, which a download unpacks. Files in a folder are
 * recognised by their size.
 *
 * @throws as {@link cifar10}.
 * @example
 * ```ts no-run
 * import { emnist } from '@ghl/datasets/node';
 *
 * const set = await emnist({ folder: 'data', split: 'letters', trainSize: 10_000, validationSize: 5_000 });
 * console.log(set.classes.length);
 * ```
 */
export async function emnist({ split = 'balanced', ...options }: EmnistOptions = {}): Promise<ImageSet> {
  checkChoice('emnist split', split, Object.keys(EMNIST_SIZES));
  const classes = CLASSES[split];
  return loadFiles(emnistSource(split), options, (files) => {
    const part = (images: FileBytes, labels: FileBytes): Records => {
      const first = split === 'letters' ? 1 : 0;
      const names = { images: images.path, labels: labels.path };
      return upright(parseIdxClasses(images.bytes, labels.bytes, names, classes.length, first));
    };
    const [trainImages, trainLabels, testImages, testLabels] = files as [FileBytes, FileBytes, FileBytes, FileBytes];
    return {
      classes,
      shape: [28, 28, 1],
      train: [part(trainImages, trainLabels)],
      test: [part(testImages, testLabels)],
    };
  });
}

/** Exchanges rows and columns of each image of 28 × 28. */
function upright({ pixels, labels }: Records): Records {
  const turned = new Uint8Array(pixels.length);
  for (let image = 0; image < pixels.length; image += 784) {
    for (let row = 0; row < 28; row++) {
      for (let column = 0; column < 28; column++) {
        turned[image + row * 28 + column] = pixels[image + column * 28 + row]!;
      }
    }
  }
  return { pixels: turned, labels };
}

/** EMNIST, balanced, described for lists and comparisons. */
export const set: Dataset = { id: 'emnist', load: emnist, classes: CLASSES.balanced, target: 0.7, folder: 'emnist' };
