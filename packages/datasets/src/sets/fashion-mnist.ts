/** Fashion-MNIST (Xiao, Rasul and Vollgraf, arXiv:1708.07747). It has the format and the file names of MNIST. */
import type { Dataset } from '../dataset.js';
import type { FileOptions } from '../files.js';
import { loadIdx } from '../idx.js';
import type { ImageSet } from '../image-set.js';
import { FASHION_MNIST } from '../published.js';

const CLASSES = [
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
 * Fashion-MNIST: 60,000 training and 10,000 test images of 28 × 28 × 1, ten kinds of clothing. Reads files of the same
 * names as {@link mnist}, from `folder` or `folder/fashion-mnist`.
 *
 * @throws as {@link cifar10}.
 * @example
 * ```ts no-run
 * import { fashionMnist } from '@ghl/datasets/node';
 *
 * const set = await fashionMnist({ folder: 'data', trainSize: 10_000, validationSize: 5_000 });
 * console.log(set.train.size, set.test.size);
 * ```
 */
export function fashionMnist(options: FileOptions = {}): Promise<ImageSet> {
  return loadIdx(FASHION_MNIST, CLASSES, options);
}

/** Fashion-MNIST, described for lists and comparisons. */
export const set: Dataset = {
  id: 'fashion-mnist',
  load: fashionMnist,
  classes: CLASSES,
  target: 0.85,
  folder: FASHION_MNIST.folder,
};
