/** Images of weights and of pixels, and montages of images. */
import { UnsupportedError } from '@ghl/core';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { kernelOf, layerAt } from './layers.js';

/** An image in red, green, blue and opacity: `new ImageData(data, width)` in a browser. */
export interface RgbaImage {
  /** Columns of pixels. */
  readonly width: number;
  /** Rows of pixels. */
  readonly height: number;
  /** Four bytes for each pixel, row by row. */
  readonly data: Uint8ClampedArray<ArrayBuffer>;
}

/** Form of a {@link montage}. */
export interface MontageOptions {
  /** Images in a row. Default: all of up to eight; of more, about 1.5 times as many as rows. */
  readonly columns?: number;
  /** Transparent pixels between images. Default 1. */
  readonly gap?: number;
}

/** One image of several, in rows. A cell is as large as the largest image, which is at its top left. */
export function montage(images: readonly RgbaImage[], { columns, gap = 1 }: MontageOptions = {}): RgbaImage {
  const across = Math.min(
    columns ?? (images.length <= 8 ? 8 : Math.ceil(Math.sqrt(1.5 * images.length))),
    images.length,
  );
  const down = Math.ceil(images.length / Math.max(across, 1));
  const cellWidth = Math.max(0, ...images.map(({ width }) => width)) + gap;
  const cellHeight = Math.max(0, ...images.map(({ height }) => height)) + gap;
  const [width, height] = [Math.max(0, across * cellWidth - gap), Math.max(0, down * cellHeight - gap)];
  const data = new Uint8ClampedArray(4 * width * height);
  for (const [i, image] of images.entries()) {
    const left = (i % across) * cellWidth;
    const top = Math.floor(i / across) * cellHeight;
    for (let row = 0; row < image.height; row++) {
      const pixels = image.data.subarray(4 * row * image.width, 4 * (row + 1) * image.width);
      data.set(pixels, 4 * ((top + row) * width + left));
    }
  }
  return { width, height, data };
}

/** Values as an image, [height, width, channels] row by row. */
export interface Pixels {
  /** Rows. */
  readonly height: number;
  /** Columns. */
  readonly width: number;
  /** Values of a pixel: red, green and blue of three or more; two are red and green; one is grey. */
  readonly channels: number;
  /** height · width · channels values. */
  readonly values: ArrayLike<number>;
}

/**
 * Values as an image, from black for `least` to white for `greatest`. NaN is black.
 *
 * @param range Default: the least and the greatest finite value.
 */
export function imageOf({ height, width, channels, values }: Pixels, range = rangeOf(values)): RgbaImage {
  const [least, greatest] = range;
  const data = new Uint8ClampedArray(4 * height * width);
  for (let pixel = 0; pixel < height * width; pixel++) {
    for (let channel = 0; channel < 3; channel++) {
      const value = values[pixel * channels + Math.min(channel, channels - 1)] as number;
      const share = (value - least) / (greatest - least || 1);
      data[4 * pixel + channel] = Math.round(255 * Math.max(0, Math.min(1, share || 0)));
    }
    data[4 * pixel + 3] = 255;
  }
  return { width, height, data };
}

function rangeOf(values: ArrayLike<number>): readonly [number, number] {
  let [least, greatest] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (let i = 0; i < values.length; i++) {
    const value = values[i] as number;
    if (!Number.isFinite(value)) continue;
    least = Math.min(least, value);
    greatest = Math.max(greatest, value);
  }
  return least <= greatest ? [least, greatest] : [0, 0];
}

/** One image for each filter of a kernel [height, width, channels, filters], each stretched to its own range. */
export function kernelImages(
  values: ArrayLike<number>,
  [height, width, channels, filters]: readonly [number, number, number, number],
): RgbaImage[] {
  return Array.from({ length: filters }, (_, filter) => {
    const own = Float32Array.from(
      { length: height * width * channels },
      (_, i) => values[i * filters + filter] as number,
    );
    return imageOf({ height, width, channels, values: own });
  });
}

/**
 * The filters of a convolution that reads images, one image each, from black for its least weight to white for its
 * greatest. For a deeper layer, whose input channels are not colours, see {@link topPatches}.
 *
 * @param layerName A Conv2D layer of the model, or the path of one in a nested model: `'inner/conv1'`.
 * @throws ConfigurationError `UNKNOWN_LAYER`; UnsupportedError `UNSUPPORTED_LAYER` for a layer that is not a Conv2D, or
 * whose input has more than three channels.
 * @example
 * ```ts
 * import { filterImages, montage } from '@ghl/evaluation';
 * import { layers, sequential } from '@tensorflow/tfjs-layers';
 * import '@tensorflow/tfjs-backend-cpu';
 *
 * const conv = layers.conv2d({ name: 'conv', filters: 6, kernelSize: 5, inputShape: [8, 8, 3] });
 * const images = await filterImages(sequential({ layers: [conv] }), 'conv');
 * const { width, height } = montage(images, { columns: 3 });
 * console.log(images.length, width, height); // three columns of five pixels, with two gaps
 * // => 6 17 11
 * ```
 */
export async function filterImages(model: LayersModel, layerName: string): Promise<RgbaImage[]> {
  const owner = layerAt(model, layerName);
  const kernel = kernelOf(owner)?.kernel;
  const shape = kernel?.shape as [number, number, number, number] | undefined;
  const name = owner.layer.getClassName();
  if (kernel === undefined || shape?.length !== 4 || shape[2] > 3 || name !== 'Conv2D') {
    throw new UnsupportedError(
      'UNSUPPORTED_LAYER',
      `Layer '${layerName}' is a ${name}${shape?.length === 4 ? ` on ${shape[2]} channels` : ''}.`,
      'name a Conv2D that reads the image; of a deeper layer, topPatches() shows what excites it.',
    );
  }
  return kernelImages(await kernel.data(), shape);
}
