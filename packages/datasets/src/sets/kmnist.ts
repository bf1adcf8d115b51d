/** Kuzushiji-MNIST (Clanuwat et al., arXiv:1812.01718). It has the format and the file names of MNIST. */
import type { Dataset } from '../dataset.js';
import type { FileOptions } from '../files.js';
import { loadIdx } from '../idx.js';
import type { ImageSet } from '../image-set.js';
import { KMNIST } from '../published.js';

const CLASSES = ['o', 'ki', 'su', 'tsu', 'na', 'ha', 'ma', 'ya', 're', 'wo'];

/**
 * KMNIST: 60,000 training and 10,000 test images of 28 × 28 × 1, ten characters of cursive Japanese. Reads files of the
 * same names as {@link mnist}, from `folder` or `folder/kmnist`. The published checksums are those of the gzipped
 * files. It recognises decompressed files by their size, and rejects those of MNIST and Fashion-MNIST.
 *
 * @throws as {@link cifar10}.
 * @example
 * ```ts no-run
 * import { kmnist } from '@ghl/datasets/node';
 *
 * const set = await kmnist({ folder: 'data', trainSize: 10_000, validationSize: 5_000 });
 * console.log(set.train.size, set.test.size);
 * ```
 */
export function kmnist(options: FileOptions = {}): Promise<ImageSet> {
  return loadIdx(KMNIST, CLASSES, options);
}

/** KMNIST, described for lists and comparisons. */
export const set: Dataset = { id: 'kmnist', load: kmnist, classes: CLASSES, target: 0.8, folder: KMNIST.folder };
