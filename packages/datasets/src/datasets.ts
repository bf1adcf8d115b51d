/** The datasets by name, as a command line has them. */
import { unknownName } from '@ghl/core/plugin';
import { cifar10, cifar100 } from './cifar.js';
import type { FileOptions } from './files.js';
import { type GlyphOptions, glyphs } from './glyphs.js';
import type { ImageSet } from './image-set.js';
import { fashionMnist, mnist } from './mnist.js';

/** Loads a dataset. An option that the dataset does not have is refused: glyphs come from no folder. */
export type DatasetLoader = (options?: FileOptions & GlyphOptions) => Promise<ImageSet>;

/** All datasets, by the name that {@link ImageSet.name} gives back. */
export const datasets: Readonly<Record<string, DatasetLoader>> = {
  glyphs,
  cifar10,
  cifar100,
  mnist,
  'fashion-mnist': fashionMnist,
};

/**
 * Loads the dataset called `name`.
 *
 * @throws ConfigurationError `UNKNOWN_DATASET`, naming the nearest; else what the dataset's own function throws.
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
export async function dataset(name: string, options: FileOptions & GlyphOptions = {}): Promise<ImageSet> {
  const load = Object.hasOwn(datasets, name) ? datasets[name] : undefined;
  if (load === undefined) throw unknownName('dataset', name, Object.keys(datasets));
  return load(options);
}
