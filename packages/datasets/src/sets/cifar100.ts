/** CIFAR-100 (Krizhevsky, "Learning multiple layers of features from tiny images", 2009), binary version. */
import type { Dataset } from '../dataset.js';
import { type FileOptions, loadFiles } from '../files.js';
import type { ImageSet } from '../image-set.js';
import { CIFAR100 } from '../published.js';
import { parseCifar100 } from '../records.js';

const CLASSES = (
  'apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can castle ' +
  'caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin elephant ' +
  'flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard lobster man maple_tree ' +
  'motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree plain plate ' +
  'poppy porcupine possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper snail snake spider ' +
  'squirrel streetcar sunflower sweet_pepper table tank telephone television tiger tractor train trout tulip turtle ' +
  'wardrobe whale willow_tree wolf woman worm'
).split(' ');

/**
 * CIFAR-100: 50,000 training and 10,000 test images of 32 × 32 × 3 in 100 classes, the fine labels. Reads `train.bin`
 * and `test.bin`, the binary version, from `folder` or `folder/cifar-100-binary`. Rejects files of another size, unless
 * `verify` is false.
 *
 * @throws as {@link cifar10}.
 * @example
 * ```ts no-run
 * import { cifar100 } from '@ghl/datasets/node';
 *
 * const set = await cifar100({ folder: 'data', trainSize: 10_000, validationSize: 5_000 });
 * console.log(set.train.size, set.test.size);
 * ```
 */
export function cifar100(options: FileOptions = {}): Promise<ImageSet> {
  return loadFiles(CIFAR100, options, ([train, test]) => ({
    classes: CLASSES,
    shape: [32, 32, 3],
    train: [parseCifar100(train!.bytes, train!.path)],
    test: [parseCifar100(test!.bytes, test!.path)],
  }));
}

/** CIFAR-100, described for lists and comparisons. */
export const set: Dataset = { id: 'cifar100', load: cifar100, classes: CLASSES, target: 0.2, folder: CIFAR100.folder };
