/**
 * Labelled images in three parts, as resumable batches: generated glyphs, and your own images. Runs in browsers too.
 */
import './codes.js';

export {
  type Batch,
  type BatchOptions,
  batchIndices,
  type ImageSet,
  type ImageSource,
  imageSet,
  type LabelledImages,
  type Normalisation,
  type SetOptions,
  type Split,
} from './image-set.js';
export { type IdxNames, parseCifar10, parseCifar100, parseIdx, type Records } from './records.js';
export { type GlyphOptions, glyphs } from './sets/glyphs.js';
export {
  type UnlabelledBatch,
  type UnlabelledSet,
  type UnlabelledSource,
  unlabelled,
} from './unlabelled.js';
export { type WhitenOptions, type ZcaOptions, zca } from './zca.js';
