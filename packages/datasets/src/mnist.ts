/**
 * MNIST (LeCun, Bottou, Bengio and Haffner, "Gradient-based learning applied to document recognition", 1998) and
 * Fashion-MNIST (Xiao, Rasul and Vollgraf, arXiv:1708.07747), which has the same format and the same file names.
 */
import { type FileOptions, loadFiles } from './files.js';
import type { ImageSet } from './image-set.js';
import { FASHION_MNIST, type FileSource, MNIST } from './published.js';
import { parseIdx, type Records } from './records.js';

const DIGITS = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9'];
const CLOTHES = [
  'T-shirt/top',
  'trouser',
  'pullover',
  'dress',
  'coat',
  'sandal',
  'shirt',
  'sneaker',
  'bag',
  'ankle boot',
];

/**
 * MNIST: 60,000 training and 10,000 test images of 28 × 28 × 1, the ten digits. Reads `train-images-idx3-ubyte`,
 * `train-labels-idx1-ubyte`, `t10k-images-idx3-ubyte` and `t10k-labels-idx1-ubyte`, gzipped or not, from `folder` or
 * `folder/mnist`. Other sets, such as KMNIST and EMNIST, have files of the same format: only the published ones are
 * read, unless `verify` is false.
 *
 * @throws DataError `WRONG_DATASET` if a file is known to be another one, `CHECKSUM_MISMATCH` if it is not the
 * published one, `DATA_NOT_FOUND`, `DATA_INCOMPLETE`, `DATA_UNREADABLE`, `DATA_TRUNCATED`, `DATA_CORRUPT`,
 * `TRAIN_SIZE`, `VALIDATION_SIZE`; from a download `DOWNLOAD_FAILED`, `CHECKSUM_MISMATCH`, `CACHE_UNWRITABLE`.
 * @throws ConfigurationError `UNKNOWN_OPTION`, `BAD_VALUE`.
 * @example
 * ```ts no-run
 * import { mnist } from '@ghl/datasets/node';
 *
 * const set = await mnist({ folder: 'data', trainSize: 10_000, validationSize: 5_000 });
 * console.log(set.train.size, set.test.size);
 * ```
 */
export function mnist(options: FileOptions = {}): Promise<ImageSet> {
  return load(MNIST, DIGITS, options);
}

/**
 * Fashion-MNIST: 60,000 training and 10,000 test images of 28 × 28 × 1, ten kinds of clothing. Reads the files that
 * {@link mnist} reads, from `folder` or `folder/fashion-mnist`.
 *
 * @throws as {@link mnist}.
 * @example
 * ```ts no-run
 * import { fashionMnist } from '@ghl/datasets/node';
 *
 * const set = await fashionMnist({ folder: 'data', trainSize: 10_000, validationSize: 5_000 });
 * console.log(set.train.size, set.test.size);
 * ```
 */
export function fashionMnist(options: FileOptions = {}): Promise<ImageSet> {
  return load(FASHION_MNIST, CLOTHES, options);
}

function load(source: FileSource, classes: readonly string[], options: FileOptions): Promise<ImageSet> {
  return loadFiles(source, options, (files) => {
    const records = (at: number): Records => {
      const [images, labels] = [files[at]!, files[at + 1]!];
      return parseIdx(images.bytes, labels.bytes, { images: images.path, labels: labels.path });
    };
    return { classes, shape: [28, 28, 1], train: [records(0)], test: [records(2)] };
  });
}
