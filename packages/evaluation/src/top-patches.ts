/** The image patches that excite the units of a layer most. */
import { ConfigurationError } from '@ghl/core';
import { checkOptions, number, readOptions } from '@ghl/core/plugin';
import * as tf from '@tensorflow/tfjs-core';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { type Inputs, READ_OPTIONS, type ReadOptions, type Unlabelled } from './examples.js';
import { imageOf, montage, type RgbaImage } from './image.js';
import { layerAt } from './layers.js';
import { type Measure, measured, type Optional } from './measure.js';
import { type Box, imageShapeOf, receptiveField } from './receptive-field.js';

/** Options of {@link topPatches}. */
export interface TopPatchesOptions extends ReadOptions {
  /** The images, [examples, height, width, channels]. */
  readonly examples: Unlabelled;
  /** Patches for each unit. Default 9. */
  readonly patches?: number;
  /** Indices of the units. Default: all. */
  readonly units?: readonly number[];
}

/** A part of an image that excites a unit. */
export interface Patch {
  /** Number of the image, in the order in which the images were read. */
  readonly example: number;
  /** Output of the unit. */
  readonly activation: number;
  /** Place of the patch in the image: the receptive field of the unit there. */
  readonly box: Box;
  /** Values of the image in the box, [height, width, channels] row by row. */
  readonly values: Float32Array;
}

/** The patches of one unit. */
export interface UnitPatches {
  /** Index of the unit. */
  readonly unit: number;
  /** Its patches, the most exciting one first. */
  readonly patches: readonly Patch[];
}

/** The result of {@link topPatches}. */
export interface TopPatches {
  /** The patches of each unit, in the order of the option `units`. */
  readonly units: readonly UnitPatches[];
  /** Channels of the images. */
  readonly channels: number;
  /** The least and the greatest finite value of all images. */
  readonly range: readonly [least: number, greatest: number];
}

/**
 * For each unit of a layer, the patches of images at which its output is largest: of each image the position with the
 * largest output, and of these the largest. A patch is the unit's receptive field there. Of equal outputs, the first
 * position and the first image count. An output that is NaN never counts.
 *
 * @param layerName A layer of the model, or the path of one in a nested model: `'inner/conv1'`. A layer without rows
 * and columns shows whole images.
 * @throws ConfigurationError `UNKNOWN_LAYER`, `BAD_VALUE`; UnsupportedError `UNSUPPORTED_LAYER`; DataError
 * `NO_EXAMPLES`.
 * @see Zeiler & Fergus, "Visualizing and understanding convolutional networks", ECCV 2014, figure 2, which shows the
 * top nine; {@link receptiveField}.
 * @example
 * ```ts
 * import { topPatches } from '@ghl/evaluation';
 * import * as tf from '@tensorflow/tfjs-core';
 * import { layers, sequential } from '@tensorflow/tfjs-layers';
 * import '@tensorflow/tfjs-backend-cpu';
 *
 * // A unit that responds to a dark pixel left of a bright one.
 * const conv = { filters: 1, kernelSize: [1, 2], useBias: false, weights: [tf.tensor4d([-1, 1], [1, 2, 1, 1])] };
 * const model = sequential({ layers: [layers.conv2d({ ...conv, name: 'edge', inputShape: [1, 4, 1] })] });
 * const xs = tf.tensor4d([[[[0], [3], [3], [9]]], [[[7], [7], [0], [7]]]]);
 * const { units } = await topPatches(model, 'edge', { examples: { xs }, patches: 1 });
 * for (const { example, box, values } of units[0]?.patches ?? []) console.log(example, box, values);
 * // => 1 { top: 0, left: 2, height: 1, width: 2 } Float32Array(2) [ 0, 7 ]
 * ```
 */
export async function topPatches(
  model: LayersModel,
  layerName: string,
  options: TopPatchesOptions,
): Promise<TopPatches> {
  checkOptions('topPatches', options, ['examples', 'patches', 'units', ...READ_OPTIONS]);
  const { examples, patches, units } = options;
  return measured(model, layerName, patchSearch(model, layerName, { patches, units }), 'examples', examples, options);
}

/**
 * For each unit of {@link topPatches}, its patches as one image. All images have the same scale from black to white.
 */
export function patchImages({ units, channels, range }: TopPatches): RgbaImage[] {
  return units.map(({ patches }) => {
    const images = patches.map(({ box, values }) => imageOf({ ...box, channels, values }, range));
    return montage(images, { columns: Math.ceil(Math.sqrt(patches.length)) });
  });
}

/** Finds the patches. */
export function patchSearch(
  model: LayersModel,
  layerName: string,
  options: Optional<TopPatchesOptions, 'patches' | 'units'>,
): Measure<Inputs, TopPatches> {
  const { patches: most, units: chosen } = readOptions('topPatches', options, {
    patches: number(9, { least: 1 }),
    units: (_name, value) => value as readonly number[] | undefined,
  });
  const [height, width, channels] = imageShapeOf(model);
  const { outputShape } = layerAt(model, layerName).layer;
  const [, , columns = 1] = outputShape as number[];
  const count = (outputShape as number[]).at(-1) as number;
  for (const unit of chosen ?? []) {
    if (Number.isInteger(unit) && unit >= 0 && unit < count) continue;
    throw new ConfigurationError(
      'BAD_VALUE',
      `There is no unit ${unit}.`,
      `'${layerName}' has ${count} units, from 0.`,
    );
  }
  const units = (chosen ?? Array.from({ length: count }, (_, unit) => unit)).map((unit) => ({
    unit,
    patches: [] as Patch[],
  }));
  let [least, greatest] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  const boxes = new Map<number, Box>();
  const boxAt = (position: number): Box => {
    const box =
      boxes.get(position) ?? receptiveField(model, layerName, [Math.floor(position / columns), position % columns]);
    boxes.set(position, box);
    return box;
  };

  return {
    async add(output, { xs }, first) {
      const best = tf.tidy(() => {
        const flat = tf.reshape(output, [output.shape[0] as number, -1, count]);
        return [tf.max(flat, 1), tf.argMax(flat, 1)];
      });
      const [activations, positions, pixels] = await Promise.all([...best, xs].map((each) => each.data()));
      tf.dispose(best);
      const images = pixels as Float32Array;
      for (const value of images) {
        if (!Number.isFinite(value)) continue;
        least = Math.min(least, value);
        greatest = Math.max(greatest, value);
      }
      const size = height * width * channels;
      for (let i = 0; i < output.shape[0]!; i++) {
        for (const { unit, patches } of units) {
          const activation = activations![i * count + unit] as number;
          const last = patches.at(-1);
          if (Number.isNaN(activation) || (patches.length >= most && activation <= last!.activation)) continue;
          const position = positions![i * count + unit] as number;
          const box = boxAt(position);
          const values = crop(images.subarray(i * size, (i + 1) * size), width, channels, box);
          const rank = patches.findIndex((patch) => patch.activation < activation);
          patches.splice(rank < 0 ? patches.length : rank, 0, { example: first + i, activation, box, values });
          patches.splice(Math.floor(most));
        }
      }
    },
    result: () => ({ units, channels, range: least <= greatest ? [least, greatest] : [0, 0] }),
  };
}

function crop(image: Float32Array, width: number, channels: number, box: Box): Float32Array {
  const values = new Float32Array(box.height * box.width * channels);
  for (let row = 0; row < box.height; row++) {
    const from = ((box.top + row) * width + box.left) * channels;
    values.set(image.subarray(from, from + box.width * channels), row * box.width * channels);
  }
  return values;
}
