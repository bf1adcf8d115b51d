/** Labelled images in three parts, as resumable batches: CIFAR, MNIST, Fashion-MNIST, and generated glyphs. */
export { cifar10, cifar100 } from './cifar.js';
export { type DatasetLoader, dataset, datasets } from './datasets.js';
export type { DownloadProgress, FileOptions } from './files.js';
export { type GlyphOptions, glyphs } from './glyphs.js';
export {
  type Batch,
  type BatchOptions,
  type ImageSet,
  type ImageSource,
  imageSet,
  type Normalisation,
  type SetOptions,
  type Split,
} from './image-set.js';
export { fashionMnist, mnist } from './mnist.js';
export { type IdxNames, parseCifar10, parseCifar100, parseIdx, type Records } from './records.js';
