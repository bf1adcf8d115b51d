/** CIFAR-10 (Krizhevsky, "Learning multiple layers of features from tiny images", 2009), binary version. */
import { DataError } from '@ghl/core';
import type { Dataset } from '../dataset.js';
import { type FileBytes, type FileOptions, loadFiles } from '../files.js';
import type { ImageSet } from '../image-set.js';
import { CIFAR10 } from '../published.js';
import { parseCifar10 } from '../records.js';

const CLASSES = 'airplane automobile bird cat deer dog frog horse ship truck'.split(' ');

/**
 * CIFAR-10: 50,000 training and 10,000 test images of 32 × 32 × 3 in 10 classes. Reads `data_batch_1.bin` to
 * `data_batch_5.bin` and `test_batch.bin`, the binary version, from `folder` or `folder/cifar-10-batches-bin`. It reads
 * only the published files, unless `verify` is false.
 *
 * @throws DataError `WRONG_DATASET` if a file is known as another one, `CHECKSUM_MISMATCH` if it is not the published
 * one; `DATA_NOT_FOUND`, `DATA_INCOMPLETE`, `DATA_UNREADABLE`, `DATA_TRUNCATED`, `DATA_CORRUPT`, `TRAIN_SIZE`,
 * `VALIDATION_SIZE`. A download throws `DOWNLOAD_FAILED`, `CHECKSUM_MISMATCH`, `CACHE_UNWRITABLE`.
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
    return { classes: CLASSES, shape: [32, 32, 3], train: records.slice(0, 5), test: records.slice(5) };
  });
}

/** Throws unless all batches have the same number of records. A batch cut between two records would pass otherwise. */
function checkEqual(files: readonly FileBytes[]): void {
  const longest = Math.max(...files.map(({ bytes }) => bytes.length));
  for (const { path, bytes } of files) {
    if (bytes.length === longest) continue;
    throw new DataError(
      'DATA_TRUNCATED',
      `${path} has ${bytes.length} bytes, but another batch has ${longest}.`,
      'the file was cut short, by a copy or a download that did not finish: fetch it again.',
    );
  }
}

/** CIFAR-10, described for lists and comparisons. */
export const set: Dataset = { id: 'cifar10', load: cifar10, classes: CLASSES, target: 0.5, folder: CIFAR10.folder };
