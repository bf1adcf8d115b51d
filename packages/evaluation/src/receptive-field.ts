/** Receptive fields: the part of an image that a position of a layer can see. */
import { UnsupportedError } from '@ghl/core';
import { LayersModel, type layers } from '@tensorflow/tfjs-layers';
import { type LayerInternals, layerAt, type ModelLayer } from './layers.js';

/** A rectangle of pixels. */
export interface Box {
  /** The first row. */
  readonly top: number;
  /** The first column. */
  readonly left: number;
  /** Number of rows. */
  readonly height: number;
  /** Number of columns. */
  readonly width: number;
}

/** First and last index on one axis. */
type Interval = readonly [first: number, last: number];

/** First and last row, first and last column. */
type Region = readonly [rows: Interval, columns: Interval];

/**
 * The pixels of the input that a position of a layer depends on, clipped at the borders of the image.
 *
 * Back through the layers, position p of a convolution or a pool with kernel k, stride s, dilation d and padding a
 * depends on the positions p·s − a + i·d of its input, i = 0 … k − 1, inside the input. Where branches join, the field
 * is the smallest rectangle around those of the branches. Layers that keep height and width are taken to be
 * element-wise, and those that enlarge them by less than the image to pad it evenly. A layer with another output, such
 * as a flattened one, sees the whole image.
 *
 * @param layerName A layer of the model, or the path of one in a nested model: `'inner/conv1'`.
 * @param position Row and column in the output of the layer; not read if it has none.
 * @throws ConfigurationError `UNKNOWN_LAYER`; UnsupportedError `UNSUPPORTED_LAYER` if the input of the model is not an
 * image, [height, width, channels].
 * @see Araujo, Norris & Sim, "Computing receptive fields of convolutional neural networks", Distill, 2019.
 * @example
 * ```ts
 * import { receptiveField } from '@ghl/evaluation';
 * import { layers, sequential } from '@tensorflow/tfjs-layers';
 * import '@tensorflow/tfjs-backend-cpu';
 *
 * const conv = { filters: 1, kernelSize: 3, padding: 'same' } as const;
 * const model = sequential({
 *   layers: [
 *     layers.conv2d({ ...conv, inputShape: [8, 8, 1] }),
 *     layers.maxPooling2d({ poolSize: 2 }),
 *     layers.conv2d({ ...conv, name: 'deep' }),
 *   ],
 * });
 * // 3 positions of the pool, which are 6 rows of the first convolution and 8 of the image. Row −1 is outside.
 * console.log(receptiveField(model, 'deep', [1, 1]));
 * console.log(receptiveField(model, 'deep', [0, 3]));
 * // => { top: 0, left: 0, height: 7, width: 7 }
 * // => { top: 0, left: 3, height: 5, width: 5 }
 * ```
 */
export function receptiveField(
  model: LayersModel,
  layerName: string,
  position: readonly [row: number, column: number],
): Box {
  const owner = layerAt(model, layerName);
  imageShapeOf(model);
  const [[top, bottom], [left, right]] = fieldOf(
    owner,
    position.map((at) => [at, at] as const) as unknown as Region,
    model,
  );
  return { top, left, height: bottom - top + 1, width: right - left + 1 };
}

/**
 * Height, width and channels of the images that a model takes.
 *
 * @throws UnsupportedError `UNSUPPORTED_LAYER`.
 */
export function imageShapeOf(model: LayersModel): readonly [height: number, width: number, channels: number] {
  const shape = model.inputs[0]?.shape.slice(1) ?? [];
  if (model.inputs.length === 1 && shape.length === 3 && shape.every((size) => size !== null)) {
    return shape as [number, number, number];
  }
  throw new UnsupportedError(
    'UNSUPPORTED_LAYER',
    `The input of the model is [${shape.join(', ')}], not an image.`,
    'build the model with one input of shape [height, width, channels].',
  );
}

/** The region of the image that a region of a layer's output sees. */
function fieldOf(owner: ModelLayer, region: Region, model: LayersModel): Region {
  const { layer, within } = owner;
  const parents = parentsOf(layer, within);
  if (parents.length === 0) return clipped(region, shapeOf(model.inputs[0]?.shape as number[]) as Region);
  const regions = parents.map((parent) => {
    const size = sizeOf(parent.layer);
    // Without rows and columns, a layer below sees everything.
    const inner = size === null ? region : clipped(back(layer, region, parent.layer), size);
    return fieldOf(parent, inner, model);
  });
  return [0, 1].map((axis) => [
    Math.min(...regions.map((each) => (each[axis] as Interval)[0])),
    Math.max(...regions.map((each) => (each[axis] as Interval)[1])),
  ]) as unknown as Region;
}

/** The layers whose outputs a layer reads. The input of a nested model leads to the layers before that model. */
function parentsOf(layer: layers.Layer, within: ModelLayer['within']): ModelLayer[] {
  // The first node of a nested model is its own, and has no layers before it.
  const sources = layer.inboundNodes.find(({ inboundLayers }) => inboundLayers.length > 0)?.inboundLayers ?? [];
  if (sources.length === 0) {
    const [container, ...outer] = within;
    return container === undefined ? [] : parentsOf(container, outer);
  }
  return sources.flatMap((source): ModelLayer[] => {
    const resolve = (each: layers.Layer, containers: readonly LayersModel[]): ModelLayer[] =>
      each instanceof LayersModel
        ? each.outputs.flatMap(({ sourceLayer }) => resolve(sourceLayer, [each, ...containers]))
        : [{ path: each.name, layer: each, within: containers }];
    return resolve(source, within);
  });
}

/** The region of its input that a layer reads for a region of its output. */
function back(tfLayer: layers.Layer, [rows, columns]: Region, source: layers.Layer): Region {
  const layer = tfLayer as LayerInternals;
  const from = sizeOf(source) as Region;
  const to = sizeOf(layer);
  if (to === null) return from;
  const kernel = windowOf(layer);
  const { padding, cropping, size } = layer;
  const axis = (index: 0 | 1, [first, last]: Interval): Interval => {
    const length = (from[index] as Interval)[1] + 1;
    const outputs = (to[index] as Interval)[1] + 1;
    if (kernel !== null) {
      const [side, stride, dilation] = [kernel.sides, kernel.strides, kernel.dilations].map((each) => each[index]!) as [
        number,
        number,
        number,
      ];
      const total = padding === 'same' ? Math.max((outputs - 1) * stride + (side - 1) * dilation + 1 - length, 0) : 0;
      const before = Math.floor(total / 2);
      // Not each position between the first and the last one is read if the kernel is dilated.
      let [least, greatest] = [length, -1];
      for (let position = first; position <= last; position++) {
        for (let tap = 0; tap < side; tap++) {
          const at = position * stride - before + tap * dilation;
          if (at < 0 || at >= length) continue;
          least = Math.min(least, at);
          greatest = Math.max(greatest, at);
        }
      }
      return [least, greatest];
    }
    if (layer.getClassName() === 'UpSampling2D' && size !== undefined)
      return [Math.floor(first / (size[index] as number)), Math.floor(last / (size[index] as number))];
    if (cropping !== undefined) {
      const cut = (cropping[index] as number[])[0] as number;
      return [first + cut, last + cut];
    }
    if (Array.isArray(padding)) {
      const added = (padding[index] as number[])[0] as number;
      return [first - added, last - added];
    }
    // Element-wise if the size stays; a padding, such as a reflection, if it grows a little; otherwise unknown.
    const grown = outputs - length;
    return grown >= 0 && grown % 2 === 0 && grown < length ? [first - grown / 2, last - grown / 2] : [0, length - 1];
  };
  return [axis(0, rows), axis(1, columns)];
}

/** The window of a convolution or a pool; null for another layer. */
function windowOf(layer: LayerInternals): Record<'sides' | 'strides' | 'dilations', number[]> | null {
  const name = layer.getClassName();
  if (name.includes('Transpose')) return null;
  const kernel = (layer.depthwiseKernel ?? layer.kernel)?.read();
  const sides = layer.poolSize ?? (kernel?.rank === 4 ? kernel.shape.slice(0, 2) : undefined);
  if (sides === undefined) return null;
  const { strides = [1, 1], dilationRate = 1 } = layer;
  // TensorFlow.js ignores the dilation of a depthwise layer.
  const dilations = layer.poolSize || name === 'DepthwiseConv2D' ? 1 : dilationRate;
  return { sides, strides, dilations: typeof dilations === 'number' ? [dilations, dilations] : dilations };
}

/** The positions of a layer's output; null if it is not an image. */
function sizeOf(layer: layers.Layer): Region | null {
  return shapeOf(layer.outputShape as number[]);
}

function shapeOf(shape: readonly number[]): Region | null {
  const [, height, width] = shape;
  return shape.length === 4
    ? [
        [0, (height as number) - 1],
        [0, (width as number) - 1],
      ]
    : null;
}

function clipped(region: Region, size: Region): Region {
  return region.map(([first, last], axis) => {
    const most = (size[axis] as Interval)[1];
    // A region in the padding sees the pixel at the border at most.
    return [Math.max(0, Math.min(first, most)), Math.max(0, Math.min(last, most))];
  }) as unknown as Region;
}
