import '@tensorflow/tfjs-backend-cpu';
import { numbers, relativeError } from '@ghl/conformance/testing';
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-layers';
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { activate, deactivate } from '../index.js';
import { forEachTerm, sizeOf } from './kernels.fixture.js';

beforeAll(async () => {
  await activate();
});
afterAll(deactivate);
beforeEach(() => tf.engine().startScope());
afterEach(() => tf.engine().endScope());

const code = (name: string) => expect.objectContaining({ code: name, help: expect.any(String) });
const { NaN: nan } = Number;
type Quad = [number, number, number, number];

/** The definition of a convolution, full or depthwise, in float64. */
function convolution(info: tf.backend_util.Conv2DInfo, depthwise: boolean, x: Float32Array, w: Float32Array) {
  const y = new Float64Array(sizeOf(info.outShape));
  forEachTerm(info, depthwise, (xAt, yAt, wAt) => {
    y[yAt]! += x[xAt]! * w[wAt]!;
  });
  return y;
}

const activations = {
  linear: (x: number) => x,
  relu: (x: number) => Math.max(x, 0),
  relu6: (x: number) => Math.min(Math.max(x, 0), 6),
  elu: (x: number) => (x > 0 ? x : Math.expm1(x)),
  sigmoid: (x: number) => 1 / (1 + Math.exp(-x)),
};
type Activation = keyof typeof activations;
const names = Object.keys(activations) as Activation[];
const upTo = (most: number, least = 1) => fc.integer({ min: least, max: most });
/** Some of the paddings of TensorFlow.js. */
const pads = fc.oneof(
  fc.constantFrom('same' as const, 'valid' as const),
  upTo(2, 0),
  fc.tuple(upTo(2, 0), upTo(2, 0), upTo(2, 0), upTo(2, 0)).map(
    ([t, b, l, r]): tf.backend_util.ExplicitPadding => [
      [0, 0],
      [t, b],
      [l, r],
      [0, 0],
    ],
  ),
);

describe('products and convolutions, with and without bias and activation, agree with float64 loops', () => {
  test.each([false, true])('a convolution, depthwise: %s', (depthwise) => {
    const shapes = fc.record({
      image: fc.tuple(upTo(2), upTo(9), upTo(9), upTo(5)),
      filter: fc.tuple(upTo(4), upTo(4), upTo(6)),
      strides: fc.tuple(upTo(3), upTo(3)),
      pad: pads,
      rounding: fc.constantFrom('floor' as const, 'ceil' as const),
      activation: fc.constantFrom(...names),
    });
    fc.assert(
      fc.property(shapes, ({ image, filter: [kh, kw, k], strides, pad, rounding, activation }) => {
        const dimRoundingMode = typeof pad === 'string' ? undefined : rounding;
        const channels = depthwise ? image[3] * k : k;
        const shape: Quad = [kh, kw, image[3], k];
        const info = tf.backend_util.computeConv2DInfo(image, shape, strides, 1, pad, dimRoundingMode, depthwise);
        fc.pre(info.outHeight > 0 && info.outWidth > 0);
        const [x, w, bias] = [numbers(1, image), numbers(2, shape), numbers(3, [channels])];
        const plain = convolution(info, depthwise, x, w);
        // Terms can cancel, so an error is relative to the sum of their magnitudes.
        const [least] = convolution(info, depthwise, x.map(Math.abs), w.map(Math.abs)).sort().subarray(-1);
        const apply = depthwise ? tf.fused.depthwiseConv2d : tf.fused.conv2d;
        const alone = depthwise ? tf.depthwiseConv2d : tf.conv2d;
        const [a, b] = [tf.tensor4d(x, image), tf.tensor4d(w, shape)];
        // The types of the depthwise convolution omit explicit padding.
        const common = { x: a, filter: b, strides, pad: pad as 'same', dimRoundingMode };
        const actual = tf.tidy(() => apply({ ...common, bias: tf.tensor1d(bias), activation }).dataSync<'float32'>());
        const expected = plain.map((sum, i) => activations[activation](sum + bias[i % channels]!));
        expect(relativeError(actual, expected, least)).toBeLessThan(1e-6);
        const bare = tf.tidy(() => alone(a, b, strides, pad, 'NHWC', 1, dimRoundingMode).dataSync<'float32'>());
        expect(relativeError(bare, plain, least)).toBeLessThan(1e-6);
        tf.dispose([a, b]);
      }),
      { numRuns: 200 },
    );
  });

  test.each(names)('products of transposed operands and of batches, %s', (activation) => {
    const [m, k, n] = [3, 5, 4];
    for (const [transposeA, transposeB, batchesA, batchesB] of [
      [false, true, [], []],
      [true, true, [2], [2]],
      [false, false, [3], []],
      [false, false, [], [3]],
    ] as const) {
      const [x, w, bias] = [numbers(1, [m * k * 3]), numbers(2, [k * n * 3]), numbers(3, [n])];
      const a = tf.tensor(x.slice(0, sizeOf([...batchesA, m * k])), [...batchesA, ...(transposeA ? [k, m] : [m, k])]);
      const b = tf.tensor(w.slice(0, sizeOf([...batchesB, k * n])), [...batchesB, ...(transposeB ? [n, k] : [k, n])]);
      const plain = tf.matMul(a, b, transposeA, transposeB).dataSync();
      const options = { a, b, transposeA, transposeB, activation };
      const actual = tf.fused.matMul({ ...options, bias: tf.tensor1d(bias) }).dataSync<'float32'>();
      const expected = Float64Array.from(plain, (sum, i) => activations[activation](sum + bias[i % n]!));
      expect(relativeError(actual, expected)).toBeLessThan(1e-6);
    }
  });

  test.each(names)('NaN propagates through %s', (activation) => {
    const a = tf.tensor2d([nan, 1, 1, 1], [2, 2]);
    const product = tf.fused.matMul({ a, b: tf.ones<tf.Rank.R2>([2, 1]), bias: tf.zeros([1]), activation });
    expect([...product.dataSync()].map(Number.isNaN)).toEqual([true, false]);
    const image = tf.tensor4d([nan, 1], [2, 1, 1, 1]);
    const filter = tf.ones<tf.Rank.R4>([1, 1, 1, 1]);
    const sums = tf.fused.conv2d({ x: image, filter, strides: 1, pad: 'same', bias: tf.zeros([1]), activation });
    expect([...sums.dataSync()].map(Number.isNaN)).toEqual([true, false]);
  });

  test('a layer with PReLU, and one with leaky ReLU', () => {
    const [a, b] = [tf.tensor2d([-4, 2], [1, 2]), tf.eye(2)];
    const preluActivationWeights = tf.tensor1d([0.25, 0.5]);
    const prelu = tf.fused.matMul({ a, b, bias: tf.zeros([2]), activation: 'prelu', preluActivationWeights });
    expect([...prelu.dataSync()]).toEqual([-1, 2]);
    const leaky = tf.fused.matMul({ a, b, bias: tf.zeros([2]), activation: 'leakyrelu', leakyreluAlpha: 0.5 });
    expect([...leaky.dataSync()]).toEqual([-2, 2]);
  });
});

describe('more images than Winograd’s algorithm processes at once', () => {
  test('a batch whose transforms exceed 4 GiB', () => {
    const x = tf.ones<tf.Rank.R4>([460, 64, 64, 16]);
    const y = tf.conv2d(x, tf.fill<tf.Rank.R4>([3, 3, 16, 16], 0.01), 1, 'same');
    const [least, most] = [tf.min(y), tf.max(y)].map((value) => value.dataSync()[0]);
    expect(least).toBeCloseTo(4 * 16 * 0.01, 4);
    expect(most).toBeCloseTo(9 * 16 * 0.01, 4);
  });

  test('results equal those of single images, and filter gradients equal their sum', () => {
    // Each image has 75 MB of transforms.
    const shape: Quad = [3, 200, 200, 16];
    const x = tf.tensor4d(numbers(1, shape), shape);
    const w = tf.tensor4d(numbers(2, [9 * 16 * 16]), [3, 3, 16, 16]);
    const all = tf.conv2d(x, w, 1, 'same');
    const attrs = { strides: [1, 1], pad: 'same', dataFormat: 'NHWC' };
    const gradient = (a: tf.Tensor, b: tf.Tensor) =>
      tf.engine().runKernel('Conv2DBackpropFilter', { x: a, dy: b }, { ...attrs, filterShape: w.shape }) as tf.Tensor;
    const inputGradient = (b: tf.Tensor) =>
      tf
        .engine()
        .runKernel('Conv2DBackpropInput', { dy: b, filter: w }, { ...attrs, inputShape: b.shape }) as tf.Tensor;
    const images = tf.split<tf.Tensor4D>(x, 3);
    const alone = images.map((image) => tf.conv2d(image, w, 1, 'same'));
    expect(all.dataSync()).toEqual(tf.concat(alone).dataSync());
    const sum = tf.addN(images.map((image, i) => gradient(image, alone[i]!)));
    expect(relativeError(gradient(x, all).dataSync<'float32'>(), Float64Array.from(sum.dataSync()))).toBeLessThan(1e-6);
    expect(inputGradient(all).dataSync()).toEqual(tf.concat(alone.map(inputGradient)).dataSync());
  });
});

test('gradients accept a ∂y of either rounding', () => {
  for (const [rounding, size] of [
    ['floor', 2],
    ['ceil', 3],
    ['round', 3],
  ] as const) {
    const [x, w] = [tf.ones<tf.Rank.R4>([1, 6, 6, 1]), tf.ones<tf.Rank.R4>([3, 3, 1, 1])];
    const [dx, dw] = tf.grads((a, b) => tf.conv2d(a as tf.Tensor4D, b as tf.Tensor4D, 2, 0, 'NHWC', 1, rounding))([
      x,
      w,
    ]);
    expect(dw!.dataSync()[0]).toBe(size ** 2);
    // A position outside all windows if the size is rounded down.
    expect(dx!.dataSync().at(-1)).toBe(size === 3 ? 1 : 0);
  }
});

describe('a call that would read or write beyond a tensor throws a coded error', () => {
  const ones = (...shape: number[]) => tf.ones<tf.Rank.R4>(shape as Quad);

  test('a transposed convolution whose output shape does not follow from the input', () => {
    for (const shape of [
      [1, 40, 40, 1],
      [1, 7, 8, 1],
      [2, 8, 8, 1],
    ] as Quad[])
      expect(() => tf.conv2dTranspose(ones(1, 8, 8, 1), ones(1, 1, 1, 1), shape, 1, 'valid')).toThrow(
        code('WRONG_SHAPE'),
      );
  });

  test.each(['Conv2DBackpropFilter', 'DepthwiseConv2dNativeBackpropInput'])('a ∂y of another shape, %s', (name) => {
    const inputs = { x: ones(1, 4, 4, 1), dy: ones(1, 9, 9, 1), filter: ones(2, 2, 1, 1) };
    const attrs = { strides: [1, 1], dilations: [1, 1], pad: 'valid', dataFormat: 'NHWC' };
    const shapes = { filterShape: [2, 2, 1, 1], inputShape: [1, 4, 4, 1] };
    expect(() => tf.engine().runKernel(name, inputs, { ...attrs, ...shapes } as never)).toThrow(code('WRONG_SHAPE'));
  });

  test('a window larger than its image', () => {
    const refused = code('INPUT_TOO_SMALL');
    expect(() => tf.conv2d(ones(1, 2, 2, 1), ones(5, 5, 1, 3), 1, 'valid')).toThrow(refused);
    expect(() => tf.depthwiseConv2d(ones(1, 2, 2, 1), ones(5, 5, 1, 3), 1, 'valid')).toThrow(refused);
    expect(() => tf.maxPool(ones(1, 2, 2, 1), [5, 5], 1, 'valid')).toThrow(refused);
    expect(() => tf.avgPool(ones(2, 10, 2, 33), [4, 4], 1, 0, 'ceil')).toThrow(refused);
  });

  test('an empty batch, in additional kernels', () => {
    const x = tf.zeros([5, 0]);
    for (const [name, inputs, attrs] of [
      ['GhlCompetition', { x }, { temperature: 1 }],
      ['GhlBatchNorm', { x }, { epsilon: 1e-3 }],
      ['GhlBatchNormGrad', { dy: x, y: x, precision: tf.zeros([0]) }, {}],
    ] as const) {
      expect(() => tf.engine().runKernel(name, inputs as never, attrs as never)).toThrow(code('EMPTY_TENSOR'));
    }
    expect(tf.add(1, 2).dataSync()[0]).toBe(3);
  });
});

test('an empty output is valid, although the stock kernel writes beyond it', () => {
  const y = tf.depthwiseConv2d(tf.ones<tf.Rank.R4>([2, 7, 4, 5]), tf.ones([3, 3, 5, 1]), 1, 'valid', 'NHWC', 2);
  expect(y.shape).toEqual([2, 3, 0, 5]);
});
