/** The filters of a first layer as a picture. */
import { kernelImages, montage } from '@ghl/evaluation';
import type { RunEvent } from '@ghl/race';
import { type Picture, pictureOf } from '../files/picture.js';

/** Kernels of a first layer, as the run recorded them. */
export type FiltersEvent = Extract<RunEvent, { type: 'filters' }>;

/**
 * All filters in one picture, a pixel apart. The brightness of each ranges from its least to its greatest finite
 * weight. NaN and −∞ are shown as the least, ∞ as the greatest.
 */
export function filterPicture({ shape, values }: FiltersEvent): Picture {
  const bytes = Buffer.from(values, 'base64');
  const weights = Float32Array.from({ length: bytes.length / 4 }, (_, i) => bytes.readFloatLE(4 * i));
  return pictureOf(montage(kernelImages(weights, shape)));
}
