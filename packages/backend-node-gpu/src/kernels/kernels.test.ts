import '@tensorflow/tfjs-backend-cpu';
import { FILTER_GRADIENTS } from '@ghl/core/backend';
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-layers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { kernels } from './index.js';
import type { Kernel } from './kernel.js';

// The stock kernels here are those of the CPU backend, which support explicit padding. Ours must call them with
// 'valid'.
const stocks = new Map<string, tf.KernelConfig>();
const seen = new Set<string>();

beforeAll(async () => {
  await tf.setBackend('cpu');
  for (const { name, run } of kernels) {
    const stock = tf.getKernel(name, 'cpu');
    if (stock === undefined) continue;
    stocks.set(name, stock);
    const kernelFunc = (call: { attrs?: tf.NamedAttrMap }): tf.TensorInfo => {
      const { pad } = call.attrs as { pad: unknown };
      if (pad !== 'valid' && pad !== 'same') throw new Error(`${name} got padding ${JSON.stringify(pad)}.`);
      return stock.kernelFunc(call as never) as tf.TensorInfo;
    };
    tf.unregisterKernel(name, 'cpu');
    tf.registerKernel({
      kernelName: name,
      backendName: 'cpu',
      kernelFunc: (call) => {
        seen.add(name);
        const out = run(call as never, (inner) => asTensor(kernelFunc({ ...call, ...inner } as never))) as tf.Tensor;
        return out;
      },
    });
  }
});
afterAll(() => {
  for (const [name, stock] of stocks) {
    tf.unregisterKernel(name, 'cpu');
    tf.registerKernel(stock);
  }
});

const asTensor = ({ dataId, shape, dtype }: tf.TensorInfo) =>
  tf.engine().makeTensorFromTensorInfo({ dataId, shape, dtype });

/** Runs a function with the kernels of the CPU backend. */
function withStock<T>(make: () => T): T {
  const ours = [...stocks.keys()].map((name) => tf.getKernel(name, 'cpu'));
  const set = (kernel: tf.KernelConfig) => {
    tf.unregisterKernel(kernel.kernelName, 'cpu');
    tf.registerKernel(kernel);
  };
  for (const stock of stocks.values()) set(stock);
  try {
    return make();
  } finally {
    for (const kernel of ours) set(kernel as tf.KernelConfig);
  }
}

const drawn = (shape: number[], seed: number) => tf.randomNormal(shape, 0, 1, 'float32', seed);
const x = () => drawn([2, 7, 6, 3], 1) as tf.Tensor4D;
const filter = () => drawn([3, 2, 3, 2], 2) as tf.Tensor4D;
type Explicit = [[0, 0], [number, number], [number, number], [0, 0]];
const uneven: Explicit = [
  [0, 0],
  [1, 2],
  [0, 1],
  [0, 0],
];

type Convolution = (x: tf.Tensor4D, filter: tf.Tensor4D) => tf.Tensor4D;
const convolutions: Record<string, Convolution> = {
  'conv2d, one number': (x, filter) => tf.conv2d(x, filter, 1, 1),
  'conv2d, a number and strides, rounded down': (x, filter) => tf.conv2d(x, filter, 2, 1, 'NHWC', 1, 'floor'),
  'conv2d, a number and strides, rounded up': (x, filter) => tf.conv2d(x, filter, 2, 1, 'NHWC', 1, 'ceil'),
  'conv2d, uneven': (x, filter) => tf.conv2d(x, filter, [2, 1], uneven),
  'depthwise, one number': (x, filter) => tf.depthwiseConv2d(x, filter, 1, 1),
};
const pools: Record<string, (x: tf.Tensor4D) => tf.Tensor4D> = {
  'max, 4/2 with 1': (x) => tf.maxPool(x, 4, 2, 1),
  'max, uneven': (x) => tf.maxPool(x, [3, 2], [2, 1], uneven),
  'average, one number': (x) => tf.avgPool(x, 3, 2, 1),
  'average, rounded up': (x) => tf.avgPool(x, 4, 2, 1, 'ceil'),
};

const inner = (a: tf.Tensor, b: tf.Tensor) => tf.sum(tf.mul(a, b)).dataSync()[0] as number;

describe.each(Object.entries(convolutions))('%s', (_, convolve) => {
  it('agrees with a backend that supports explicit padding, and has adjoint gradients', () => {
    tf.tidy(() => {
      const y = convolve(x(), filter());
      expect(y).toBeAllClose(
        withStock(() => convolve(x(), filter())),
        { rtol: 1e-5, atol: 1e-5 },
      );
      const dy = drawn(y.shape, 3);
      const [dx, dw] = tf.grads(convolve as never)([x(), filter()], dy) as [tf.Tensor, tf.Tensor];
      const expected = inner(y, dy);
      expect(dx.shape).toEqual(x().shape);
      expect(inner(x(), dx)).toBeCloseTo(expected, 3);
      expect(inner(filter(), dw)).toBeCloseTo(expected, 3);
    });
  });
});

describe.each(Object.entries(pools))('%s', (name, pool) => {
  it('agrees with a backend that supports explicit padding, and has an adjoint gradient', () => {
    tf.tidy(() => {
      const y = pool(x());
      expect(y).toBeAllClose(
        withStock(() => pool(x())),
        { rtol: 1e-5, atol: 1e-6 },
      );
      const dy = drawn(y.shape, 3);
      const dx = tf.grad(pool as never)(x(), dy);
      expect(dx.shape).toEqual(x().shape);
      // A pool is linear in x as long as the positions of the maxima do not change.
      expect(inner(x(), dx)).toBeCloseTo(inner(y, dy), 3);
      if (name.startsWith('max')) {
        const expected = withStock(() => tf.grad(pool as never)(x(), dy));
        expect(dx).toBeAllClose(expected, { rtol: 1e-5, atol: 1e-6 });
      }
    });
  });
});

it('throws for a transposed convolution whose output shape does not follow from the input', () => {
  const refused = expect.objectContaining({ code: 'WRONG_SHAPE', help: expect.any(String) });
  tf.tidy(() => {
    const [image, window] = [tf.ones<tf.Rank.R4>([1, 8, 8, 1]), tf.ones<tf.Rank.R4>([1, 1, 1, 1])];
    expect(() => tf.conv2dTranspose(image, window, [1, 40, 40, 1], 1, 'valid')).toThrow(refused);
    expect(tf.conv2dTranspose(image, window, [1, 8, 8, 1], 1, 'valid').shape).toEqual([1, 8, 8, 1]);
  });
});

it('pads a convolution that is fused with its bias and activation', () => {
  tf.tidy(() => {
    const bias = drawn([2], 5) as tf.Tensor1D;
    const run = () =>
      tf.fused.conv2d({
        x: x(),
        filter: filter(),
        strides: 1,
        pad: 1,
        dimRoundingMode: 'floor',
        bias,
        activation: 'relu',
      });
    expect(run()).toBeAllClose(withStock(run), { rtol: 1e-5, atol: 1e-5 });
    const wide = () =>
      tf.fused.depthwiseConv2d({ x: x(), filter: filter(), strides: 1, pad: 1, dimRoundingMode: 'floor' });
    expect(wide()).toBeAllClose(withStock(wide), { rtol: 1e-5, atol: 1e-5 });
  });
});

it("leaves 'valid' and 'same' to the stock kernels, and has run every kernel", () => {
  tf.tidy(() => {
    for (const padding of ['valid', 'same'] as const) {
      const run = () => tf.conv2d(x(), filter(), 2, padding);
      expect(run()).toBeAllClose(withStock(run), { rtol: 0, atol: 0 });
    }
  });
  expect([...seen].sort()).toEqual([...stocks.keys()].sort());
});

it('returns the filter gradient of each cotangent', () => {
  tf.tidy(() => {
    const { run } = kernels.find(({ name }) => name === FILTER_GRADIENTS) as Kernel;
    const cotangents = [3, 4, 5].map((seed) => drawn([2, 7, 6, 2], seed));
    const attrs = { strides: [1, 1], pad: 'same', dataFormat: 'NHWC', filterShape: [3, 2, 3, 2] };
    const inputs = { x: x(), dy2: cotangents[2]!, dy0: cotangents[0]!, dy1: cotangents[1]! };
    const gradients = run({ inputs, attrs, backend: null as never }, null as never) as tf.Tensor[];
    expect(gradients).toHaveLength(3);
    for (const [i, dy] of cotangents.entries()) {
      const alone = tf.engine().runKernel('Conv2DBackpropFilter', { x: x(), dy }, attrs as never) as tf.Tensor;
      expect(gradients[i]!).toBeAllClose(alone, { rtol: 0, atol: 0 });
    }
  });
});
