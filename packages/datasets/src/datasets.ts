/** Loads a dataset by its name. */
import { unknownName } from '@ghl/core/plugin';
import type { DatasetOptions } from './dataset.js';
import type { ImageSet } from './image-set.js';
import { datasets } from './sets/index.js';

/**
 * Loads the dataset called `name`.
 *
 * @throws ConfigurationError `UNKNOWN_DATASET`, naming the nearest; otherwise as the dataset's own function.
 * @example
 * ```ts
 * import { dataset } from '@ghl/datasets/node';
 * import '@tensorflow/tfjs-backend-cpu';
 *
 * const set = await dataset('glyphs', { trainSize: 100, validationSize: 20, testSize: 20 });
 * console.log(set.name, set.train.size);
 * // => glyphs 100
 * ```
 */
export async function dataset(name: string, options: DatasetOptions = {}): Promise<ImageSet> {
  if (!Object.hasOwn(datasets, name)) throw unknownName('dataset', name, Object.keys(datasets));
  return datasets[name as keyof typeof datasets].load(options);
}
