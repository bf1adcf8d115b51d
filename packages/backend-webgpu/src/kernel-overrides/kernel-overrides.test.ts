import '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { activate, deactivate } from '../index.js';

beforeAll(async () => {
  await activate();
  tf.env().set('WEBGPU_CPU_FORWARD', false);
});
afterAll(async () => {
  tf.env().set('WEBGPU_CPU_FORWARD', true);
  await deactivate();
});

/** The values of a tensor, which is then disposed of. */
async function valuesOf(make: () => tf.Tensor): Promise<number[]> {
  const tensor = tf.tidy(make);
  const values = Array.from(await tensor.data());
  tensor.dispose();
  return values;
}

const { NaN: nan, POSITIVE_INFINITY: infinity } = Number;
const numbers = [nan, infinity, -infinity, -1e30, -100, -3, -1.5, -1, -0.25, 0, 0.25, 1, 2.5, 7, 20, 100, 1e30];
const oracles: Record<string, [run: (x: tf.Tensor) => tf.Tensor, oracle: (x: number) => number]> = {
  exp: [tf.exp, Math.exp],
  expm1: [tf.expm1, Math.expm1],
  log: [tf.log, Math.log],
  log1p: [tf.log1p, Math.log1p],
  sigmoid: [tf.sigmoid, (x) => 1 / (1 + Math.exp(-x))],
  softplus: [tf.softplus, (x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)))],
  elu: [tf.elu, (x) => (x < 0 ? Math.expm1(x) : x)],
  selu: [tf.selu, (x) => 1.0507009873554805 * (x < 0 ? 1.6732632423543772 * Math.expm1(x) : x)],
  relu6: [tf.relu6, (x) => Math.min(Math.max(x, 0), 6)],
  cosh: [tf.cosh, Math.cosh],
  sinh: [tf.sinh, Math.sinh],
  acosh: [tf.acosh, Math.acosh],
  asinh: [tf.asinh, Math.asinh],
  atanh: [tf.atanh, Math.atanh],
};
const fused = ['elu', 'relu6', 'sigmoid', 'relu', 'leakyrelu', 'linear'] as const;
type Activation = (typeof fused)[number];
const column = (x: tf.Tensor1D) => ({
  x: tf.reshape(x, [1, x.size, 1, 1]) as tf.Tensor4D,
  filter: tf.tensor4d([0, 0, 1, 0, 0, 0], [3, 1, 1, 2]),
  strides: 1,
  pad: 'same' as const,
  bias: tf.zeros([2]),
  leakyreluAlpha: 0.2,
});
const fusions: [name: string, run: (x: tf.Tensor1D, activation: Activation) => tf.Tensor][] = [
  [
    'product',
    (x, activation) => {
      const [a, b, bias] = [tf.expandDims<tf.Tensor2D>(x, 1), tf.ones<tf.Rank.R2>([1, 2]), tf.zeros([2])];
      return tf.fused.matMul({ a, b, bias, activation, leakyreluAlpha: 0.2 });
    },
  ],
  ['convolution', (x, activation) => tf.fused.conv2d({ ...column(x), activation })],
  ['convolution in depth', (x, activation) => tf.fused.depthwiseConv2d({ ...column(x), activation })],
];

describe('NaN propagates, and other values are correct', () => {
  it.each(Object.entries(oracles))('%s', async (_, [run, oracle]) => {
    const actual = await valuesOf(() => run(tf.tensor1d(numbers)));
    for (const [i, value] of actual.entries()) {
      const expected = Math.fround(oracle(numbers[i]!));
      if (Number.isFinite(expected))
        expect(Math.abs(value - expected)).toBeLessThan(1e-4 * Math.max(1, Math.abs(expected)));
      else expect(value).toBe(expected);
    }
  });

  const ends = fusions.flatMap(([name, run]) => fused.map((activation) => [name, activation, run] as const));
  it.each(ends)('through a %s with the activation %s', async (_, activation, run) => {
    const of = [-100, -3, -0.25, 0, 0.25, 2.5, 7, 100, nan, 2, -2, 0.5];
    const product = () => valuesOf(() => run(tf.tensor1d(of), activation));
    const actual = await product();
    await tf.setBackend('cpu');
    const expected = await product();
    await tf.setBackend('webgpu');
    expect(actual.map(Number.isNaN)).toEqual(expected.map(Number.isNaN));
    for (const [i, value] of actual.entries()) if (!Number.isNaN(value)) expect(value).toBeCloseTo(expected[i]!, 4);
  });

  it('within one row of a softmax', async () => {
    for (const [bad, columns] of [
      [Number.NaN, 5],
      [Number.POSITIVE_INFINITY, 5],
      [Number.NaN, 300],
    ] as const) {
      const x = Array.from({ length: 3 * columns }, (_, i) => Math.sin(i));
      x[columns + 3] = bad;
      const actual = await valuesOf(() => tf.softmax(tf.tensor2d(x, [3, columns])));
      const exps = x.map(Math.exp);
      for (const [i, value] of actual.entries()) {
        const row = Math.floor(i / columns);
        const sum = exps.slice(row * columns, (row + 1) * columns).reduce((a, b) => a + b);
        if (row === 1) expect(value).toBeNaN();
        else expect(value).toBeCloseTo(exps[i]! / sum, 5);
      }
    }
  });

  it('leaves integers and empty tensors to the stock kernels', async () => {
    expect(await valuesOf(() => tf.exp(tf.tensor1d([0, 1], 'int32')))).toEqual([1, expect.closeTo(Math.E, 3)]);
    expect(await valuesOf(() => tf.exp(tf.zeros([0, 3])))).toEqual([]);
    expect(await valuesOf(() => tf.softmax(tf.zeros([0, 3])))).toEqual([]);
    expect(await valuesOf(() => tf.softmax(tf.zeros([3, 0])))).toEqual([]);
    expect(await valuesOf(() => tf.logSoftmax(tf.zeros([0, 3])))).toEqual([]);
  });
});

describe('a product with a long inner dimension', () => {
  it.each([
    [20, 10],
    [70, 40],
  ])('[%i, 4096] by [4096, %i] gives the same bits each time', async (rows, columns) => {
    const a = tf.randomNormal<tf.Rank.R2>([rows, 4096], 0, 1, 'float32', 1);
    const b = tf.randomNormal<tf.Rank.R2>([4096, columns], 0, 1, 'float32', 2);
    const product = () => valuesOf(() => tf.matMul(a, b));
    const first = await product();
    const [x, w] = [await a.data(), await b.data()];
    for (const i of [0, rows * columns - 1]) {
      const [row, column] = [Math.floor(i / columns), i % columns];
      let sum = 0;
      for (let k = 0; k < 4096; k++) sum += x[row * 4096 + k]! * w[k * columns + column]!;
      expect(first[i]).toBeCloseTo(sum, 2);
    }
    for (let again = 0; again < 3; again++) expect(await product()).toEqual(first);
    tf.dispose([a, b]);
  });
});

describe('a convolution that is a product with a long inner dimension', () => {
  const cases: [string, size: number[], kernel: number[], pad: 'same' | 'valid', batch: number][] = [
    ['of one pixel', [16, 16], [1, 1, 2048, 32], 'same', 1],
    ['of the whole image', [8, 8], [8, 8, 64, 32], 'valid', 16],
    ['with few outputs', [4, 4], [3, 3, 256, 32], 'same', 1],
    ['with very few outputs', [4, 4], [3, 3, 256, 9], 'same', 1],
  ];
  const formats = ['NHWC', 'NCHW'] as const;
  it.each(formats.flatMap((format) => cases.map((each) => [...each, format] as const)))(
    '%s gives the same, correct bits each time',
    async (_, size, kernel, pad, batch, format) => {
      const image = tf.randomNormal<tf.Rank.R4>([batch, ...size, kernel[2]!] as never, 0, 1, 'float32', 1);
      const x = format === 'NHWC' ? image : tf.transpose(image, [0, 3, 1, 2]);
      const w = tf.randomNormal<tf.Rank.R4>(kernel as never, 0, 1, 'float32', 2);
      const plain = () => valuesOf(() => tf.conv2d(x, w, 1, pad, format));
      const fused = () =>
        valuesOf(() => tf.fused.conv2d({ x, filter: w, strides: 1, pad, dataFormat: format, activation: 'relu' }));
      const [first, rectified] = [await plain(), await fused()];
      for (let again = 0; again < 5; again++) expect([await plain(), await fused()]).toEqual([first, rectified]);

      const [xs, ws] = [await x.data(), await w.data()];
      await tf.setBackend('cpu');
      const expected = await valuesOf(() =>
        tf.conv2d(tf.tensor4d(xs, x.shape), tf.tensor4d(ws, w.shape), 1, pad, format),
      );
      await tf.setBackend('webgpu');
      for (const [i, value] of first.entries()) expect(Math.abs(value - expected[i]!)).toBeLessThan(2e-3);
      expect(rectified).toEqual(first.map((value) => Math.max(value, 0)));
      tf.dispose([image, x, w]);
    },
  );
});

describe('a product of empty tensors', () => {
  const zeros = (shape: number[]) => tf.zeros<tf.Rank.R4>(shape as never);
  const cases: [string, number[], () => tf.Tensor][] = [
    ['no terms', [2, 3], () => tf.matMul(zeros([2, 0]), zeros([0, 3]))],
    ['no terms of many numbers', [200, 300], () => tf.matMul(zeros([200, 0]), zeros([0, 300]))],
    ['no rows', [0, 3], () => tf.matMul(zeros([0, 4]), zeros([4, 3]))],
    ['an empty batch', [0, 2, 2], () => tf.matMul(zeros([0, 2, 3]), zeros([1, 3, 2]))],
    ['an empty batch of images', [0, 3, 3, 1], () => tf.conv2d(zeros([0, 4, 4, 1]), zeros([2, 2, 1, 1]), 1, 'valid')],
    ['an empty batch of pixels', [0, 4, 4, 2], () => tf.conv2d(zeros([0, 4, 4, 1]), zeros([1, 1, 1, 2]), 1, 'same')],
    [
      'an empty batch, and an activation',
      [0, 3, 3, 1],
      () =>
        tf.fused.conv2d({
          x: zeros([0, 4, 4, 1]),
          filter: zeros([2, 2, 1, 1]),
          strides: 1,
          pad: 'valid',
          activation: 'elu',
        }),
    ],
  ];
  it.each(cases)('is 0 or empty, and does not lose the device: %s', async (_, shape, run) => {
    const product = tf.tidy(run);
    expect(product.shape).toEqual(shape);
    expect(Array.from(await product.data())).toEqual(new Array(product.size).fill(0));
    expect(await valuesOf(() => tf.square(tf.ones([2])))).toEqual([1, 1]);
    product.dispose();
  });

  it('keeps the dtype int32', () => {
    const type = tf.tidy(() => tf.matMul(tf.zeros([0, 4], 'int32'), tf.zeros([4, 3], 'int32')).dtype);
    expect(type).toBe('int32');
  });
});
