/** Loads a dataset by its name. */
import { unknownName } from '@ghl/core/plugin';
import type { DatasetOptions } from './dataset.js';
import type { ImageSet } from './image-set.js';
import { datasets } from './sets/index.js';

/**
 * Loads the dataset called `name`.
 *
 * @throws ConfigurationError `UNKNOWN_DATASET`, naming the nearest; otherwise as the dataset's own function.
 */
export async function dataset(name: string, options: DatasetOptions = {}): Promise<ImageSet> {
  if (!Object.hasOwn(datasets, name)) throw unknownName('dataset', name, Object.keys(datasets));
  return datasets[name as keyof typeof datasets].load(options);
}
