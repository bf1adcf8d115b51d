/** MNIST (LeCun, Bottou, Bengio and Haffner, "Gradient-based learning applied to document recognition", 1998). */
import type { Dataset } from '../dataset.js';
import type { FileOptions } from '../files.js';
import { loadIdx } from '../idx.js';
import type { ImageSet } from '../image-set.js';
import { MNIST } from '../published.js';

const CLASSES = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9'];

/**
 * MNIST: 60,000 training and 10,000 test images of 28 × 28 × 1, the ten digits. Reads `train-images-idx3-ubyte`,
 * `train-labels-idx1-ubyte`, `t10k-images-idx3-ubyte` and `t10k-labels-idx1-ubyte`, gzipped or not, from `folder` or
 * `folder/mnist`. Reads only the published files, unless `verify` is false: KMNIST and EMNIST have files of the same
 * names and format.
 *
 * @throws as {@link cifar10}.
 * @example
 * ```ts no-run
 * import { mnist } from '@ghl/datasets/node';
 *
 * const set = await mnist({ folder: 'data', trainSize: 10_000, validationSize: 5_000 });
 * console.log(set.train.size, set.test.size);
 * ```
 */
export function mnist(options: FileOptions = {}): Promise<ImageSet> {
  return loadIdx(MNIST, CLASSES, options);
}

/** MNIST, described for lists and comparisons. */
export const set: Dataset = { id: 'mnist', load: mnist, classes: CLASSES, target: 0.95, folder: MNIST.folder };
