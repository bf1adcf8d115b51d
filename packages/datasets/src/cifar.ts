/**
 * CIFAR-10 and CIFAR-100 (Krizhevsky, "Learning multiple layers of features from tiny images", 2009), binary version.
 */
import { DataError } from '@ghl/core';
import { type FileBytes, type FileOptions, loadFiles } from './files.js';
import type { ImageSet } from './image-set.js';
import { CIFAR10, CIFAR100 } from './published.js';
import { parseCifar10, parseCifar100 } from './records.js';

const SHAPE = [32, 32, 3] as const;

/**
 * CIFAR-10: 50,000 training and 10,000 test images of 32 × 32 × 3 in 10 classes. Reads `data_batch_1.bin` …
 * `data_batch_5.bin` and `test_batch.bin`, the binary version, from `folder` or `folder/cifar-10-batches-bin`. Only the
 * published files are read, unless `verify` is false.
 *
 * @throws DataError `WRONG_DATASET` if a file is known to be another one, `CHECKSUM_MISMATCH` if it is not the
 * published one, `DATA_NOT_FOUND`, `DATA_INCOMPLETE`, `DATA_UNREADABLE`, `DATA_TRUNCATED`, `DATA_CORRUPT`,
 * `TRAIN_SIZE`, `VALIDATION_SIZE`; from a download `DOWNLOAD_FAILED`, `CHECKSUM_MISMATCH`, `CACHE_UNWRITABLE`.
 * @throws ConfigurationError `UNKNOWN_OPTION`, `BAD_VALUE`.
 * @example
 * ```ts no-run
 * import { cifar10 } from '@ghl/datasets/node';
 *
 * const set = await cifar10({ folder: 'data', trainSize: 10_000, validationSize: 5_000 });
 * console.log(set.train.size, set.test.size);
 * ```
 */
export function cifar10(options: FileOptions = {}): Promise<ImageSet> {
  return loadFiles(CIFAR10, options, (files) => {
    const train = files.slice(0, 5);
    const records = files.map(({ path, bytes }) => parseCifar10(bytes, path));
    checkEqual(train);
    return { classes: CLASSES_10, shape: SHAPE, train: records.slice(0, 5), test: records.slice(5) };
  });
}

/**
 * CIFAR-100: 50,000 training and 10,000 test images of 32 × 32 × 3 in 100 classes, the fine labels. Reads `train.bin`
 * and `test.bin`, the binary version, from `folder` or `folder/cifar-100-binary`. Files of another size are refused,
 * unless `verify` is false.
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
    classes: CLASSES_100,
    shape: SHAPE,
    train: [parseCifar100(train!.bytes, train!.path)],
    test: [parseCifar100(test!.bytes, test!.path)],
  }));
}

/** The batches of CIFAR-10 have equally many records: one cut between two records would pass unseen otherwise. */
function checkEqual(files: readonly FileBytes[]): void {
  const longest = Math.max(...files.map(({ bytes }) => bytes.length));
  for (const { path, bytes } of files) {
    if (bytes.length === longest) continue;
    throw new DataError(
      'DATA_TRUNCATED',
      `${path} has ${bytes.length} bytes where another batch has ${longest}.`,
      'the file was cut short, by a copy or a download that did not finish: fetch it again.',
    );
  }
}

const CLASSES_10 = 'airplane automobile bird cat deer dog frog horse ship truck'.split(' ');

const CLASSES_100 = (
  'apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can castle ' +
  'caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin elephant ' +
  'flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard lobster man maple_tree ' +
  'motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree plain plate ' +
  'poppy porcupine possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper snail snake spider ' +
  'squirrel streetcar sunflower sweet_pepper table tank telephone television tiger tractor train trout tulip turtle ' +
  'wardrobe whale willow_tree wolf woman worm'
).split(' ');
