/** Measurements and images of the layers of a trained model, for any `LayersModel` of tfjs-layers. */
import './codes.js';

export { type DeadUnits, type DeadUnitsOptions, deadUnits } from './dead-units.js';
export type { Batches, BatchIterator, Examples, Inputs, Labelled, ReadOptions, Unlabelled } from './examples.js';
export type { FeatureOptions } from './features.js';
export {
  filterImages,
  imageOf,
  kernelImages,
  type MontageOptions,
  montage,
  type Pixels,
  type RgbaImage,
} from './image.js';
export { type InspectOptions, inspect, type LayerInspection } from './inspect.js';
export { type LinearProbeOptions, linearProbe, type ProbeResult } from './linear-probe.js';
export { type NearestNeighboursOptions, type NeighboursResult, nearestNeighbours } from './nearest-neighbours.js';
export { type Box, receptiveField } from './receptive-field.js';
export {
  type Patch,
  patchImages,
  type TopPatches,
  type TopPatchesOptions,
  topPatches,
  type UnitPatches,
} from './top-patches.js';
export { type WeightNorms, weightNorms } from './weight-norms.js';
export { type WinnerEntropy, type WinnerEntropyOptions, winnerEntropy } from './winner-entropy.js';
