/** CIFAR-100 with its 20 superclasses. */
import type { Dataset } from '../dataset.js';
import { type FileOptions, loadFiles } from '../files.js';
import type { ImageSet } from '../image-set.js';
import { CIFAR100 } from '../published.js';
import { parseCifar100 } from '../records.js';

const CLASSES = (
  'aquatic_mammals fish flowers food_containers fruit_and_vegetables household_electrical_devices ' +
  'household_furniture insects large_carnivores large_man-made_outdoor_things large_natural_outdoor_scenes ' +
  'large_omnivores_and_herbivores medium_mammals non-insect_invertebrates people reptiles small_mammals trees ' +
  'vehicles_1 vehicles_2'
).split(' ');

/**
 * CIFAR-100 with the coarse labels: the same images as {@link cifar100}, in 20 superclasses of five classes each. Reads
 * the same files from the same folders.
 *
 * @throws as {@link cifar10}.
 * @example
 * ```ts no-run
 * import { cifar100Coarse } from '@ghl/datasets/node';
 *
 * const set = await cifar100Coarse({ folder: 'data', trainSize: 10_000, validationSize: 5_000 });
 * console.log(set.classes.length);
 * ```
 */
export function cifar100Coarse(options: FileOptions = {}): Promise<ImageSet> {
  return loadFiles({ ...CIFAR100, name: 'cifar100-coarse' }, options, ([train, test]) => ({
    classes: CLASSES,
    shape: [32, 32, 3],
    train: [parseCifar100(train!.bytes, train!.path, 'coarse')],
    test: [parseCifar100(test!.bytes, test!.path, 'coarse')],
  }));
}

/** CIFAR-100 with coarse labels, described for lists and comparisons. */
export const set: Dataset = {
  id: 'cifar100-coarse',
  load: cifar100Coarse,
  classes: CLASSES,
  target: 0.3,
  folder: CIFAR100.folder,
};
