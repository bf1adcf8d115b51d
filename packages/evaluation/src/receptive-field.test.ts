import * as tf from '@tensorflow/tfjs-core';
import {
  input,
  type LayersModel,
  layers,
  model as modelOf,
  type SymbolicTensor,
  sequential,
} from '@tensorflow/tfjs-layers';
import '@tensorflow/tfjs-backend-cpu';
import { expect, it } from 'vitest';
import { receptiveField } from './index.js';
import { identity, inScope } from './models.fixture.js';

inScope();

const conv = (kernelSize: number | [number, number], more: object = {}) =>
  layers.conv2d({ filters: 1, kernelSize, kernelInitializer: 'ones', useBias: false, ...more });
const chain = (...list: layers.Layer[]) =>
  sequential({ layers: [layers.inputLayer({ inputShape: [11, 12, 1] }), ...list] });
const same = { padding: 'same' } as const;

const models: Record<string, () => LayersModel> = {
  'a valid convolution': () => chain(conv([3, 2])),
  'a same convolution with strides': () => chain(conv(4, { ...same, strides: 3 })),
  'a dilated convolution': () => chain(conv(3, { ...same, dilationRate: 2 })),
  'a pool of stride 2 between convolutions': () =>
    chain(conv(3, same), layers.maxPooling2d({ poolSize: 4, strides: 2, ...same }), conv([1, 3], same)),
  'a depthwise convolution': () =>
    chain(layers.depthwiseConv2d({ kernelSize: 3, strides: 2, depthwiseInitializer: 'ones', useBias: false })),
  'zero padding and cropping': () =>
    chain(
      layers.zeroPadding2d({
        padding: [
          [2, 1],
          [0, 3],
        ],
      }),
      conv(3),
      layers.cropping2D({
        cropping: [
          [1, 0],
          [2, 1],
        ],
      }),
    ),
  'element-wise layers': () =>
    chain(conv(3, same), layers.batchNormalization({}), layers.activation({ activation: 'linear' })),
  upsampling: () => chain(conv(3, { strides: 2 }), layers.upSampling2d({ size: [2, 3] }), conv(2)),
  'a flattened layer': () => chain(conv(3), layers.flatten(), layers.dense({ units: 1, kernelInitializer: 'ones' })),
  'a residual block': () => {
    const image = input({ shape: [11, 12, 1] });
    const first = conv(3, { ...same, strides: 2 }).apply(image) as SymbolicTensor;
    const second = conv(5, same).apply(first) as SymbolicTensor;
    const shortcut = conv(1, { strides: 2 }).apply(image) as SymbolicTensor;
    return modelOf({ inputs: image, outputs: layers.add().apply([second, shortcut]) as SymbolicTensor });
  },
  'a nested model': () => {
    const inner = sequential({ name: 'inner', layers: [conv(3, { inputShape: [9, 10, 1] }), conv(2, { strides: 2 })] });
    return chain(conv(3), inner, conv(2, same));
  },
};

/**
 * Of each output, the pixels that change it: the response to images with one bright pixel. All weights are 1, so that
 * no path cancels another.
 */
function sensitivities(model: LayersModel): { position: [number, number]; pixels: number[][] }[] {
  const pixels = Array.from({ length: 11 * 12 }, (_, i) => [Math.floor(i / 12), i % 12]);
  const xs = tf.reshape(tf.eye(11 * 12), [-1, 11, 12, 1]);
  const y = model.apply(xs) as tf.Tensor;
  const [, rows = 1, columns = 1] = y.rank === 4 ? y.shape : [];
  const responses = tf.reshape(y, [11 * 12, rows * columns]).arraySync() as number[][];
  return Array.from({ length: rows * columns }, (_, p) => ({
    position: [Math.floor(p / columns), p % columns],
    pixels: pixels.filter((_, i) => responses[i]![p] !== 0),
  }));
}

it.each(Object.keys(models))('contains exactly the pixels that change the output of %s', (name) => {
  const model = models[name]!();
  const last = model.layers.at(-1)!;
  for (const { position, pixels } of sensitivities(model)) {
    const [rows, columns] = [pixels.map(([row]) => row!), pixels.map(([, column]) => column!)];
    const [top, left] = [Math.min(...rows), Math.min(...columns)];
    const field = { top, left, height: Math.max(...rows) - top + 1, width: Math.max(...columns) - left + 1 };
    expect({ position, ...receptiveField(model, last.name, position) }).toEqual({ position, ...field });
  }
});

it('follows a layer inside a nested model to the image', () => {
  const model = models['a nested model']!();
  const inner = model.getLayer('inner') as unknown as LayersModel;
  expect(receptiveField(model, `inner/${inner.layers.at(-1)!.name}`, [1, 0])).toEqual({
    top: 2,
    left: 0,
    height: 6,
    width: 6,
  });
});

it('takes a layer that enlarges an image a little to pad it evenly', () => {
  class Mirror extends layers.Layer {
    static className = 'TestMirror';
    override computeOutputShape([batch, height, width, channels]: number[]) {
      return [batch!, height! + 2, width! + 2, channels!];
    }
  }
  const model = chain(new Mirror({}), conv(3, { name: 'conv' }));
  expect(receptiveField(model, 'conv', [0, 5])).toEqual({ top: 0, left: 4, height: 2, width: 3 });
});

it('rejects a model whose input is not an image', () => {
  expect(() => receptiveField(identity([3]), 'same', [0, 0])).toThrow(
    expect.objectContaining({ code: 'UNSUPPORTED_LAYER' }),
  );
});
