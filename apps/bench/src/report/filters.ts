/** Filters as a picture, a PNG in a data URL. */

import type { RunEvent } from '@ghl/race';
import { PNG } from 'pngjs';

/** Kernels of a first layer, as the run recorded them. */
export type FiltersEvent = Extract<RunEvent, { type: 'filters' }>;

/** A picture with its size in pixels, which a page shows enlarged. */
export interface Picture {
  readonly url: string;
  readonly width: number;
  readonly height: number;
}

/**
 * All filters in one picture, a pixel apart. The brightness of each ranges from its least to its greatest finite
 * weight. NaN and −∞ are shown as the least, ∞ as the greatest.
 */
export function filterPicture({ shape: [height, width, channels, filters], values }: FiltersEvent): Picture {
  const bytes = Buffer.from(values, 'base64');
  const weight = (row: number, column: number, channel: number, filter: number) =>
    bytes.readFloatLE(4 * (((row * width + column) * channels + Math.min(channel, channels - 1)) * filters + filter));
  const across = filters <= 8 ? filters : Math.ceil(Math.sqrt(1.5 * filters));
  const down = Math.ceil(filters / across);
  const png = new PNG({ width: across * (width + 1) - 1, height: down * (height + 1) - 1 });
  for (let filter = 0; filter < filters; filter++) {
    const left = (filter % across) * (width + 1);
    const top = Math.floor(filter / across) * (height + 1);
    const [least, greatest] = range(height, width, channels, (r, c, channel) => weight(r, c, channel, filter));
    for (let row = 0; row < height; row++) {
      for (let column = 0; column < width; column++) {
        const at = 4 * ((top + row) * png.width + left + column);
        for (let channel = 0; channel < 3; channel++) {
          const share = (weight(row, column, channel, filter) - least) / (greatest - least || 1);
          png.data[at + channel] = Math.round(255 * Math.max(0, Math.min(1, share || 0)));
        }
        png.data[at + 3] = 255;
      }
    }
  }
  return {
    url: `data:image/png;base64,${PNG.sync.write(png).toString('base64')}`,
    width: png.width,
    height: png.height,
  };
}

function range(
  height: number,
  width: number,
  channels: number,
  weight: (row: number, column: number, channel: number) => number,
): [number, number] {
  let [least, greatest] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; column++) {
      for (let channel = 0; channel < channels; channel++) {
        const value = weight(row, column, channel);
        if (!Number.isFinite(value)) continue;
        least = Math.min(least, value);
        greatest = Math.max(greatest, value);
      }
    }
  }
  return least <= greatest ? [least, greatest] : [0, 0];
}
