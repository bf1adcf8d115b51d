import { numbers, relativeError } from '@ghl/conformance/testing';
import * as tf from '@tensorflow/tfjs-core';
import { layers, sequential } from '@tensorflow/tfjs-layers';
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { activate, deactivate } from '../index.js';
import { expectSame, onBoth, sizeOf } from './kernels.fixture.js';
import { type Convolution, forEachTap, forEachWindow, outShape, type Volume } from './volumes.fixture.js';

beforeAll(async () => {
  await activate({ threads: 2 });
});
afterAll(deactivate);
beforeEach(() => tf.engine().startScope());
afterEach(() => tf.engine().endScope());

const upTo = (most: number, least = 1) => fc.integer({ min: least, max: most });
const triple = (each: fc.Arbitrary<number>) => fc.tuple(each, each, each);

/**
 * Windows larger and smaller than their stride, within the volume and beyond it.
 */
const anyVolume = {
  batch: upTo(3),
  size: triple(upTo(7)),
  window: triple(upTo(4)),
  strides: triple(upTo(4)),
  pad: fc.oneof(fc.constantFrom('same' as const, 'valid' as const), upTo(3, 0)),
};
const channels = fc.oneof(upTo(5), upTo(40));
const fits = (volume: Volume) => Math.min(...outShape(volume)) > 0;

const anyPool: fc.Arbitrary<Volume> = fc
  .record({ ...anyVolume, channels, dilations: fc.constant([1, 1, 1] as [number, number, number]) })
  .filter(fits);

const anyConvolution: fc.Arbitrary<Convolution> = fc
  .record({ ...anyVolume, channels, filters: channels, dilations: triple(upTo(3)), dilated: fc.boolean() })
  // TensorFlow.js supports a stride or a dilation, not both.
  .map(({ dilated, ...volume }) => ({ ...volume, [dilated ? 'strides' : 'dilations']: [1, 1, 1] }) as Convolution)
  .filter((volume) => fits(volume) && volume.channels * volume.filters * sizeOf(volume.size) < 5e4);

const inShape = ({ batch, size, channels }: Volume) =>
  [batch, ...size, channels] as [number, number, number, number, number];

function convolve({ strides, pad, dilations }: Convolution, x: tf.Tensor, w: tf.Tensor) {
  return tf.conv3d(x as tf.Tensor5D, w as tf.Tensor5D, strides, pad as 'same', 'NDHWC', dilations);
}

describe('conv3d', () => {
  it('agrees with float64 loops, and so do its gradients', () => {
    fc.assert(
      fc.property(anyConvolution, fc.nat(1000), (volume, seed) => {
        const { window, channels, filters } = volume;
        const x = tf.tensor(numbers(seed, inShape(volume)), inShape(volume));
        const w = tf.tensor(numbers(seed + 1, [sizeOf(window) * channels * filters]), [...window, channels, filters]);
        const dilated = volume.dilations.some((rate) => rate > 1);
        const y = convolve(volume, x, w);
        const dy = tf.tensor(numbers(seed + 2, [y.size]), y.shape);
        const expected = [y, x, w].map(({ size }) => new Float64Array(size));
        const [xs, ws, dys] = [x, w, dy].map((tensor) => tensor.dataSync<'float32'>()) as [
          Float32Array,
          Float32Array,
          Float32Array,
        ];
        forEachTap(volume, (yAt, xAt, wAt) => {
          for (let c = 0; c < channels; c++)
            for (let k = 0; k < filters; k++) {
              expected[0]![yAt + k]! += xs[xAt + c]! * ws[wAt + c * filters + k]!;
              expected[1]![xAt + c]! += ws[wAt + c * filters + k]! * dys[yAt + k]!;
              expected[2]![wAt + c * filters + k]! += xs[xAt + c]! * dys[yAt + k]!;
            }
        });
        expect(y.shape).toEqual([...[volume.batch], ...outShape(volume), filters]);
        const gradients = dilated ? [] : tf.grads((a, b) => convolve(volume, a!, b!))([x, w], dy);
        for (const [i, actual] of [y, ...gradients].entries()) {
          // All are 0 if no window covers the volume.
          expect(relativeError(actual.dataSync(), expected[i]!)).toBeLessThan(2e-5);
        }
      }),
      { numRuns: 150 },
    );
  });

  it('with a stride of two along the width alone has the filter gradient 31 of 1, 2, 3 and 1, 10', () => {
    const x = tf.tensor5d([1, 2, 3], [1, 1, 1, 3, 1]);
    const w = tf.zeros([1, 1, 1, 1, 1]) as tf.Tensor5D;
    const dw = tf.grad((filter) => tf.conv3d(x, filter as tf.Tensor5D, [1, 1, 2], 'valid'))(
      w,
      tf.tensor5d([1, 10], [1, 1, 1, 2, 1]),
    );
    expect([...dw.dataSync()]).toEqual([31]);
  });

  it('supports a volume without a batch', () => {
    const x = tf.tensor(numbers(1, [4 * 3 * 5 * 2]), [4, 3, 5, 2]) as tf.Tensor4D;
    const w = tf.tensor(numbers(2, [2 * 2 * 2 * 2 * 3]), [2, 2, 2, 2, 3]) as tf.Tensor5D;
    const expected = tf.conv3d(tf.expandDims(x) as tf.Tensor5D, w, 1, 'same');
    expectSame(tf.conv3d(x, w, 1, 'same').dataSync(), expected.dataSync());
  });

  it('equals conv2d for one frame', () => {
    const x = tf.tensor(numbers(3, [2 * 9 * 8 * 3]), [2, 9, 8, 3]) as tf.Tensor4D;
    const w = tf.tensor(numbers(4, [3 * 2 * 3 * 5]), [3, 2, 3, 5]) as tf.Tensor4D;
    const volume = tf.conv3d(tf.expandDims(x, 1) as tf.Tensor5D, tf.expandDims(w, 0) as tf.Tensor5D, [1, 2, 1], 'same');
    expectSame(volume.dataSync(), tf.conv2d(x, w, [2, 1], 'same').dataSync());
  });

  it('is equivariant to a shift along any axis', () => {
    const w = tf.tensor(numbers(5, [27 * 2 * 3]), [3, 3, 3, 2, 3]) as tf.Tensor5D;
    const x = tf.tensor(numbers(6, [8 * 8 * 8 * 2]), [1, 8, 8, 8, 2]) as tf.Tensor5D;
    const y = tf.conv3d(x, w, 1, 'valid');
    for (const axis of [1, 2, 3]) {
      const at = [0, 0, 0, 0, 0];
      at[axis] = 1;
      const shorter = (t: tf.Tensor) => t.shape.map((size, i) => (i === axis ? size - 1 : size));
      const shifted = tf.conv3d(tf.slice(x, at, shorter(x)), w, 1, 'valid');
      expect(relativeError(shifted.dataSync(), tf.slice(y, at, shorter(y)).dataSync())).toBeLessThan(1e-6);
    }
  });

  it('propagates NaN to every result whose window contains it, and to no other', () => {
    const volume: Convolution = {
      ...{ batch: 1, size: [4, 5, 6], channels: 2, filters: 2, window: [2, 3, 2] },
      ...{ strides: [1, 2, 1], pad: 'same', dilations: [1, 1, 1] },
    };
    const xs = numbers(1, [240]);
    xs[101] = Number.NaN;
    const w = tf.tensor(numbers(2, [2 * 3 * 2 * 4]), [2, 3, 2, 2, 2]);
    const y = convolve(volume, tf.tensor(xs, inShape(volume)), w).dataSync();
    const expected = new Set<number>();
    forEachTap(volume, (yAt, xAt) => {
      if (xAt === 100) for (const k of [0, 1]) expected.add(yAt + k);
    });
    expect(expected.size).toBeGreaterThan(0);
    for (const [i, value] of y.entries()) expect(Number.isNaN(value)).toBe(expected.has(i));
  });
});

describe('conv3dTranspose', () => {
  it('is the input gradient of conv3d', () => {
    const w = tf.tensor(numbers(1, [2 * 3 * 2 * 4 * 3]), [2, 3, 2, 4, 3]) as tf.Tensor5D;
    const y = tf.tensor(numbers(2, [2 * 3 * 2 * 3 * 3]), [2, 3, 2, 3, 3]) as tf.Tensor5D;
    for (const pad of ['same', 'valid'] as const) {
      const shape: [number, number, number, number, number] = pad === 'same' ? [2, 5, 4, 9, 4] : [2, 6, 5, 8, 4];
      const x = tf.conv3dTranspose(y, w, shape, [2, 2, 3], pad);
      const expected = tf.grad((t) => tf.conv3d(t as tf.Tensor5D, w, [2, 2, 3], pad))(tf.zeros(shape), y);
      expectSame(x.dataSync(), expected.dataSync());
      expect(Math.max(...x.dataSync())).toBeGreaterThan(0);
    }
  });
});

/** Few distinct values, with many repetitions. */
const coarse = (size: number, seed: number) => numbers(seed, [size]).map((value) => Math.round(3 * value) - 1);

const pools = { maxPool3d: tf.maxPool3d, avgPool3d: tf.avgPool3d };

function poolAndGradient(kind: keyof typeof pools, volume: Volume, x: Float32Array, seed: number) {
  return tf.tidy(() => {
    const { window, strides, pad } = volume;
    const run = (t: tf.Tensor) => pools[kind](t as tf.Tensor5D, window, strides, pad);
    const tensor = tf.tensor(x, inShape(volume));
    const y = run(tensor);
    expect(y.shape).toEqual([volume.batch, ...outShape(volume), volume.channels]);
    const dy = tf.tensor(numbers(seed, [y.size]), y.shape);
    const dx = tf.grad(run)(tensor, dy);
    return { y: y.dataSync<'float32'>(), dy: dy.dataSync<'float32'>(), dx: dx.dataSync<'float32'>() };
  });
}

describe('pooling', () => {
  it('returns the maximum, and passes its gradient to the first maximum', () => {
    fc.assert(
      fc.property(anyPool, fc.nat(1000), (volume, seed) => {
        const x = coarse(sizeOf(inShape(volume)), seed);
        const { y, dy, dx } = poolAndGradient('maxPool3d', volume, x, seed);
        const [maxima, gradient] = [new Float64Array(y.length), new Float64Array(x.length)];
        forEachWindow(volume, (at, window) => {
          const largest = Math.max(...window.map((i) => x[i]!));
          maxima[at] = largest;
          const first = window.find((i) => x[i] === largest);
          if (first !== undefined) gradient[first]! += dy[at]!;
        });
        expectSame(y, maxima);
        expect(relativeError(dx, gradient)).toBeLessThan(1e-6);
      }),
      { numRuns: 100 },
    );
  });

  it('returns the average of the values in the window, whose gradient is shared equally', () => {
    fc.assert(
      fc.property(anyPool, fc.nat(1000), (volume, seed) => {
        const x = numbers(seed, inShape(volume));
        const { y, dy, dx } = poolAndGradient('avgPool3d', volume, x, seed);
        const [means, gradient] = [new Float64Array(y.length), new Float64Array(x.length)];
        forEachWindow(volume, (at, window) => {
          means[at] = window.reduce((sum, i) => sum + x[i]!, 0) / window.length;
          for (const i of window) gradient[i]! += dy[at]! / window.length;
        });
        const finite = (list: Float32Array | Float64Array) => [...list].filter((value) => !Number.isNaN(value));
        expect(relativeError(finite(y), finite(means))).toBeLessThan(2e-6);
        expect(relativeError(dx, gradient)).toBeLessThan(2e-6);
      }),
      { numRuns: 100 },
    );
  });

  it('returns −1 as the maximum of −1', () => {
    expect([...tf.maxPool3d(tf.fill([1, 1, 1, 1, 1], -1) as tf.Tensor5D, 1, 1, 'valid').dataSync()]).toEqual([-1]);
  });

  it('with a cubic window equals pooling along one axis at a time', () => {
    const x = tf.tensor(numbers(1, [7 * 6 * 5 * 3]), [1, 7, 6, 5, 3]) as tf.Tensor5D;
    const along = (t: tf.Tensor5D, axis: number) => {
      const window = [1, 1, 1].map((_, i) => (i === axis ? 3 : 1)) as [number, number, number];
      return tf.maxPool3d(t, window, window.map((size) => (size > 1 ? 2 : 1)) as [number, number, number], 'same');
    };
    expectSame(tf.maxPool3d(x, 3, 2, 'same').dataSync(), along(along(along(x, 0), 1), 2).dataSync());
  });

  it('of one frame equals pooling of its image', () => {
    const x = tf.tensor(numbers(3, [2 * 9 * 8 * 5]), [2, 9, 8, 5]) as tf.Tensor4D;
    const volume = tf.expandDims(x, 1) as tf.Tensor5D;
    expectSame(
      tf.maxPool3d(volume, [1, 3, 2], [1, 2, 3], 'same').dataSync(),
      tf.maxPool(x, [3, 2], [2, 3], 'same').dataSync(),
    );
    expectSame(
      tf.avgPool3d(volume, [1, 3, 2], [1, 2, 3], 'same').dataSync(),
      tf.avgPool(x, [3, 2], [2, 3], 'same').dataSync(),
    );
  });

  it('sums a long window without drift', () => {
    for (const axis of [0, 1, 2]) {
      const size = [1, 1, 1].map((_, i) => (i === axis ? 20001 : 1)) as [number, number, number];
      const x = numbers(3, [20001]).map((value) => 1 + value / 8);
      const y = tf.avgPool3d(tf.tensor(x, [1, ...size, 1]) as tf.Tensor5D, size, 1, 'valid').dataSync()[0]!;
      expect(Math.abs(y - x.reduce((sum, value) => sum + value, 0) / x.length)).toBeLessThan(2e-5);
    }
  });

  it.each(['floor', 'round', 'ceil'] as const)('rounds the size of its result by the mode %s', (mode) => {
    const x = tf.tensor(numbers(1, [8 * 7 * 6 * 2]), [1, 8, 7, 6, 2]) as tf.Tensor5D;
    for (const pool of [tf.maxPool3d, tf.avgPool3d]) {
      const run = (t: tf.Tensor) => pool(t as tf.Tensor5D, 3, 2, 0, mode);
      const y = run(x);
      const sizes = [8, 7, 6].map((size) => Math[mode]((size - 3) / 2 + 1));
      expect(y.shape).toEqual([1, ...sizes, 2]);
      // The shares of each ∂y sum to 1.
      expect(tf.sum(tf.grad(run)(x)).dataSync()[0]).toBeCloseTo(y.size, 3);
    }
  });

  it.each(['maxPool3d', 'avgPool3d'] as const)('%s propagates NaN to every result whose window contains it', (kind) => {
    const volume: Volume = {
      ...{ batch: 2, size: [5, 4, 6], channels: 21, window: [2, 3, 3] },
      ...{ strides: [2, 2, 1], pad: 'same', dilations: [1, 1, 1] },
    };
    const x = numbers(1, inShape(volume)).map((value, i) => (i % 97 === 5 ? Number.NaN : value));
    const { y } = poolAndGradient(kind, volume, x, 1);
    forEachWindow(volume, (at, window) => {
      expect(Number.isNaN(y[at])).toBe(window.some((i) => Number.isNaN(x[i])));
    });
  });
});

describe('a layer', () => {
  const conv = { filters: 3, kernelSize: 2, kernelInitializer: 'ones', biasInitializer: 'ones' } as const;
  it.each([
    ['conv3d', layers.conv3d({ ...conv })],
    ['conv3d of strides', layers.conv3d({ ...conv, strides: [1, 2, 3], padding: 'same', activation: 'relu' })],
    ['conv3d, dilated', layers.conv3d({ ...conv, dilationRate: [2, 1, 2] })],
    ['conv3d, channels first', layers.conv3d({ ...conv, dataFormat: 'channelsFirst' })],
    ['conv3dTranspose', layers.conv3dTranspose({ ...conv, strides: 2 })],
    ['conv3dTranspose, same', layers.conv3dTranspose({ ...conv, strides: [1, 2, 3], padding: 'same' })],
    ['maxPooling3d', layers.maxPooling3d({})],
    ['maxPooling3d, same', layers.maxPooling3d({ poolSize: [3, 2, 1], strides: [1, 2, 3], padding: 'same' })],
    ['maxPooling3d, channels first', layers.maxPooling3d({ dataFormat: 'channelsFirst' })],
    ['averagePooling3d', layers.averagePooling3d({})],
    ['averagePooling3d, same', layers.averagePooling3d({ poolSize: [3, 2, 1], strides: [1, 2, 3], padding: 'same' })],
  ] as const)('%s computes as on the cpu backend', async (_, layer) => {
    const [wasm, cpu] = await onBoth(() => {
      const x = tf.tensor(numbers(7, [2 * 6 * 5 * 4 * 2]), [2, 6, 5, 4, 2]);
      const y = layer.apply(x) as tf.Tensor;
      const weights = layer.getWeights().map((weight) => weight.shape);
      expect(weights.length).toBe(layer.getClassName().startsWith('Conv') ? 2 : 0);
      return [y];
    });
    layer.dispose();
    expect(relativeError(wasm[0]!, cpu[0]!)).toBeLessThan(1e-5);
  });

  it('trains with tf.train.sgd to the weights of the cpu backend', async () => {
    const weights: Float32Array[][] = [];
    for (const name of ['wasm', 'cpu']) {
      await tf.setBackend(name);
      const model = sequential({
        layers: [
          layers.conv3d({
            inputShape: [6, 5, 7, 2],
            filters: 4,
            kernelSize: [3, 2, 3],
            strides: [1, 1, 2],
            padding: 'same',
            activation: 'tanh',
          }),
          layers.maxPooling3d({ poolSize: [2, 2, 2], strides: [2, 2, 1] }),
          layers.conv3d({ filters: 3, kernelSize: 2, activation: 'relu' }),
          layers.averagePooling3d({ poolSize: [1, 1, 2], strides: 1, padding: 'valid' }),
          layers.flatten(),
          layers.dense({ units: 2 }),
        ],
      });
      model.setWeights(
        model.getWeights().map((w, i) =>
          tf.tensor(
            numbers(i, [w.size]).map((v) => v / 4),
            w.shape,
          ),
        ),
      );
      model.compile({ optimizer: tf.train.sgd(0.1), loss: 'meanSquaredError' });
      const x = tf.tensor(numbers(20, [4 * 6 * 5 * 7 * 2]), [4, 6, 5, 7, 2]);
      const y = tf.tensor(numbers(21, [8]), [4, 2]);
      await model.fit(x, y, { epochs: 3, batchSize: 2, shuffle: false, verbose: 0 });
      weights.push(model.getWeights().map((w) => w.dataSync<'float32'>().slice()));
      model.optimizer.dispose();
      model.dispose();
    }
    await tf.setBackend('wasm');
    for (const [i, actual] of weights[0]!.entries()) expect(relativeError(actual, weights[1]![i]!)).toBeLessThan(1e-4);
  });
});

describe('calls that throw', () => {
  const run = (name: string, inputs: Record<string, tf.Tensor>, attrs: object) =>
    tf.engine().runKernel(name, inputs, attrs as never);
  const pooling = { filterSize: 2, strides: 2, pad: 'valid' };
  const convolution = { strides: 1, pad: 'valid', dilations: 1 };
  const cube = (size: number, dtype: 'float32' | 'int32' | 'bool' = 'float32') =>
    tf.zeros([1, size, size, size, 1], dtype);
  const filter = (dtype: 'float32' | 'int32' | 'bool' = 'float32') => tf.zeros([2, 2, 2, 1, 1], dtype);

  it.each(['int32', 'bool'] as const)('%s throws a coded error', (dtype) => {
    const backward = { ...convolution, inputShape: [1, 4, 4, 4, 1], filterShape: [2, 2, 2, 1, 1] };
    for (const call of [
      () => run('Conv3D', { x: cube(4, dtype), filter: filter() }, convolution),
      () => run('Conv3D', { x: cube(4), filter: filter(dtype) }, convolution),
      () => run('Conv3DBackpropInputV2', { dy: cube(3, dtype), filter: filter() }, backward),
      () => run('Conv3DBackpropFilterV2', { x: cube(4, dtype), dy: cube(3) }, backward),
      () => run('MaxPool3D', { x: cube(4, dtype) }, pooling),
      () => run('AvgPool3D', { x: cube(4, dtype) }, pooling),
      () => run('MaxPool3DGrad', { dy: cube(2), input: cube(4, dtype), output: cube(2) }, pooling),
      () => run('AvgPool3DGrad', { dy: cube(2, dtype), input: cube(4) }, pooling),
    ]) {
      expect(call).toThrow(expect.objectContaining({ code: 'UNSUPPORTED_DTYPE' }));
    }
  });

  it.each([
    [0, 4, 4, 4, 2],
    [2, 4, 4, 4, 0],
    [2, 0, 4, 4, 2],
    [2, 4, 0, 4, 2],
    [2, 4, 4, 0, 2],
  ])('a volume of [%i, %i, %i, %i, %i] has an empty pool, no convolution and no gradients', (...shape) => {
    const x = tf.zeros(shape) as tf.Tensor5D;
    for (const pad of ['same', 'valid'] as const) {
      for (const pool of [tf.maxPool3d, tf.avgPool3d]) expect(pool(x, 2, 2, pad).size).toBe(0);
    }
    const channels = shape[4]!;
    const backward = { ...convolution, inputShape: shape, filterShape: [2, 2, 2, channels, 1] };
    const w = tf.zeros([2, 2, 2, channels, 1]);
    const dy = tf.zeros([shape[0]!, 2, 2, 2, channels]);
    for (const call of [
      () => run('Conv3D', { x, filter: w }, convolution),
      () => run('Conv3DBackpropFilterV2', { x, dy: tf.zeros([shape[0]!, 3, 3, 3, 1]) }, backward),
      () => run('MaxPool3DGrad', { dy, input: x, output: dy }, pooling),
      () => run('AvgPool3DGrad', { dy, input: x }, pooling),
    ]) {
      expect(call).toThrow(expect.objectContaining({ code: 'EMPTY_TENSOR' }));
    }
  });

  it('a cotangent of another size than the result throws a coded error', () => {
    const backward = { ...convolution, inputShape: [1, 4, 4, 4, 1], filterShape: [2, 2, 2, 1, 1] };
    for (const call of [
      () => run('Conv3DBackpropInputV2', { dy: cube(4), filter: filter() }, backward),
      () => run('Conv3DBackpropFilterV2', { x: cube(4), dy: cube(4) }, backward),
      () => run('MaxPool3DGrad', { dy: cube(3), input: cube(4), output: cube(2) }, pooling),
      () => run('MaxPool3DGrad', { dy: cube(2), input: cube(4), output: cube(3) }, pooling),
      () => run('AvgPool3DGrad', { dy: cube(3), input: cube(4) }, pooling),
      () => tf.conv3dTranspose(cube(4) as tf.Tensor5D, filter() as tf.Tensor5D, [1, 40, 40, 40, 1], 1, 'same'),
    ]) {
      expect(call).toThrow(expect.objectContaining({ code: 'WRONG_SHAPE' }));
    }
  });

  it('a window larger than its volume throws a coded error', () => {
    for (const call of [
      () => tf.conv3d(cube(2) as tf.Tensor5D, tf.zeros([3, 1, 1, 1, 1]) as tf.Tensor5D, 1, 'valid'),
      () => tf.conv3d(cube(2) as tf.Tensor5D, filter() as tf.Tensor5D, 1, 'valid', 'NDHWC', 2),
      () => tf.maxPool3d(cube(2) as tf.Tensor5D, [1, 3, 1], 1, 'valid'),
      () => tf.avgPool3d(cube(2) as tf.Tensor5D, [1, 1, 3], 1, 'valid'),
    ]) {
      expect(call).toThrow(expect.objectContaining({ code: 'INPUT_TOO_SMALL' }));
    }
  });
});
