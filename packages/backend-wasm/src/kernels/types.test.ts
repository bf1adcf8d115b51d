/**
 * Types other than float32 in labels, losses, metrics and operations; and millions of values.
 */
import '@tensorflow/tfjs-backend-cpu';
import { numbers } from '@ghl/conformance/testing';
import * as tf from '@tensorflow/tfjs-core';
import { initializers, layers, metrics, sequential } from '@tensorflow/tfjs-layers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { activate, deactivate } from '../index.js';
import { onBoth } from './kernels.fixture.js';

beforeAll(async () => {
  await activate({ threads: 2 });
});
afterAll(deactivate);

/** For integers, a clipped 0 is 0: some losses are infinite, or NaN, on every backend. */
async function expectAlike(compute: () => tf.Tensor[]): Promise<void> {
  const [wasm, cpu] = await onBoth(compute);
  const finite = (list: Float32Array) => Float32Array.from(list, (value) => (Number.isFinite(value) ? value : 0));
  const others = (list: Float32Array) => [...list].map((value) => (Number.isFinite(value) ? 0 : value));
  for (const [i, one] of wasm.entries()) {
    expect(finite(one)).toBeAllClose(finite(cpu[i]!), { rtol: 1e-5, atol: 1e-6 });
    expect(others(one)).toEqual(others(cpu[i]!));
  }
}

const labels = (dtype: 'int32' | 'bool') => tf.cast(tf.oneHot(tf.tensor1d([0, 2, 1, 2, 0], 'int32'), 3), dtype);
const shares = () => tf.softmax(tf.tensor2d(numbers(1, [15]), [5, 3]));

describe.each(['int32', 'bool'] as const)('labels of %s', (dtype) => {
  it.each([
    'meanSquaredError',
    'meanAbsoluteError',
    'meanAbsolutePercentageError',
    'meanSquaredLogarithmicError',
    'squaredHinge',
    'hinge',
    'categoricalHinge',
    'logcosh',
    'categoricalCrossentropy',
    'binaryCrossentropy',
    'kullbackLeiblerDivergence',
    'poisson',
    'cosineProximity',
  ])('%s of a model', async (loss) => {
    await expectAlike(() => {
      const model = sequential({
        layers: [
          layers.dense({
            units: 3,
            inputShape: [4],
            activation: 'softmax',
            kernelInitializer: initializers.randomUniform({ minval: -1, maxval: 1, seed: 3 }),
          }),
        ],
      });
      model.compile({ optimizer: 'sgd', loss, metrics: ['accuracy', 'mse', 'cosine'] });
      const results = model.evaluate(tf.tensor2d(numbers(2, [20]), [5, 4]), labels(dtype), { verbose: 0 });
      model.dispose();
      return results as tf.Tensor[];
    });
  });

  it.each([
    ['absoluteDifference', (y: tf.Tensor, p: tf.Tensor) => tf.losses.absoluteDifference(y, p)],
    ['hingeLoss', (y: tf.Tensor, p: tf.Tensor) => tf.losses.hingeLoss(y, p)],
    ['huberLoss', (y: tf.Tensor, p: tf.Tensor) => tf.losses.huberLoss(y, p)],
    ['logLoss', (y: tf.Tensor, p: tf.Tensor) => tf.losses.logLoss(y, p)],
    ['meanSquaredError', (y: tf.Tensor, p: tf.Tensor) => tf.losses.meanSquaredError(y, p)],
    ['sigmoidCrossEntropy', (y: tf.Tensor, p: tf.Tensor) => tf.losses.sigmoidCrossEntropy(y, p)],
    ['softmaxCrossEntropy', (y: tf.Tensor, p: tf.Tensor) => tf.losses.softmaxCrossEntropy(y, p)],
    ['cosineDistance', (y: tf.Tensor, p: tf.Tensor) => tf.losses.cosineDistance(y, p, 1)],
    ['binaryAccuracy', (y: tf.Tensor, p: tf.Tensor) => metrics.binaryAccuracy(y, p)],
    ['categoricalAccuracy', (y: tf.Tensor, p: tf.Tensor) => metrics.categoricalAccuracy(y, p)],
    ['precision', (y: tf.Tensor, p: tf.Tensor) => metrics.precision(y, p)],
    ['recall', (y: tf.Tensor, p: tf.Tensor) => metrics.recall(y, p)],
    ['mean', (y: tf.Tensor) => tf.mean(y)],
    ['moments', (y: tf.Tensor) => tf.moments(y, 0).variance],
    ['norm', (y: tf.Tensor) => tf.norm(tf.cast(y, 'float32'))],
    ['topk', (y: tf.Tensor) => tf.topk(y, 2).indices],
    ['argMax', (y: tf.Tensor) => tf.argMax(y, -1)],
    ['cumsum', (y: tf.Tensor) => tf.cumsum(y, 1, true, true)],
    ['where', (y: tf.Tensor) => tf.where(tf.tensor1d([1, 0, 1], 'bool'), y, tf.zerosLike(y))],
    ['clipByValue', (y: tf.Tensor) => tf.clipByValue(y, 1e-7, 1)],
    [
      'mirrorPad',
      (y: tf.Tensor) =>
        tf.mirrorPad(
          y,
          [
            [1, 1],
            [1, 0],
          ],
          'reflect',
        ),
    ],
    ['stridedSlice', (y: tf.Tensor) => tf.stridedSlice(y, [0, 0], [5, 3], [2, 2])],
    ['reverse', (y: tf.Tensor) => tf.reverse(y, -1)],
  ] as const)('%s', async (_, compute) => {
    await expectAlike(() => [compute(labels(dtype), shares())]);
  });
});

it('counts a confusion matrix', async () => {
  const [truth, guess] = [0, 1].map((shift) => Array.from({ length: 5000 }, (_, i) => (i * (7 + shift)) % 10));
  const expected = new Int32Array(100);
  for (const [i, row] of truth!.entries()) expected[row * 10 + guess![i]!]! += 1;
  const counted = tf.tidy(() => {
    const matrix = tf.math.confusionMatrix(tf.tensor1d(truth!, 'int32'), tf.tensor1d(guess!, 'int32'), 10);
    expect(matrix.dtype).toBe('int32');
    return matrix.dataSync();
  });
  expect(counted).toEqual(expected);
});

it('multiplies integers that float32 does not represent', () => {
  const [a, b] = [
    [16777217, 3],
    [1, 1],
  ].map((row) => tf.tensor2d(row, [1, 2], 'int32'));
  const product = tf.matMul(a!, b!, false, true);
  expect([...product.dataSync()]).toEqual([16777220]);
  tf.dispose([a!, b!, product]);
});

describe('millions of values', () => {
  const SIZE = 4 << 20;
  const integers = Int32Array.from({ length: SIZE }, (_, i) => (Math.imul(i, 2654435761) >>> 8) % 100000);
  const total = integers.reduce((sum, value) => sum + value, 0);

  it('have the mean of float64, over any axes', () => {
    tf.tidy(() => {
      const x = tf.tensor1d(integers, 'int32');
      for (const mean of [
        tf.mean(x),
        tf.mean(tf.cast(x, 'float32')),
        tf.mean(tf.reshape(x, [2, SIZE / 4, 2]), [0, 1, 2]),
        tf.mean(tf.mean(tf.reshape(tf.cast(x, 'float32'), [2, SIZE / 4, 2]), 1)),
        tf.mean(tf.mean(tf.reshape(x, [1, SIZE / 2, 2]), [0, 1])),
      ]) {
        expect(mean.dtype).toBe('float32');
        expect(mean.dataSync()).toBeAllClose([total / SIZE], { rtol: 1e-6, atol: 0 });
      }
    });
  });

  it('have an exact sum of integers, and an exact count of bool', () => {
    tf.tidy(() => {
      const x = tf.tensor1d(integers, 'int32');
      expect([...tf.sum(tf.mod(x, tf.scalar(100, 'int32'))).dataSync()]).toEqual([
        integers.reduce((sum, value) => sum + (value % 100), 0),
      ]);
      const odd = tf.cast(tf.mod(x, tf.scalar(2, 'int32')), 'bool');
      const count = tf.sum(odd);
      expect([count.dtype, count.dataSync()[0]]).toEqual(['int32', integers.filter((value) => value % 2 === 1).length]);
    });
  });
});

describe('resizing', () => {
  const geometries = [
    [5, 4],
    [1, 1],
    [1, 6],
    [7, 1],
    [3, 3],
  ].flatMap((from) =>
    [
      [5, 4],
      [1, 1],
      [10, 8],
      [2, 9],
      [3, 1],
    ].flatMap((to) => [false, true].map((align) => ({ from, to, align }))),
  );

  it.each(['resizeBilinear', 'resizeNearestNeighbor'] as const)('the gradient of %s is its adjoint', (name) => {
    for (const { from, to, align } of geometries) {
      tf.tidy(() => {
        const [height, width] = from as [number, number];
        const x = tf.tensor4d(numbers(4, [2 * height * width * 3]), [2, height, width, 3]);
        const resize = (images: tf.Tensor) => tf.image[name](images as tf.Tensor4D, to as [number, number], align);
        const y = resize(x);
        const dy = tf.tensor(numbers(5, [y.size]), y.shape);
        const dx = tf.grad((images) => tf.sum(tf.mul(resize(images), dy)))(x);
        // ⟨R·x, ∂y⟩ = ⟨x, Rᵀ·∂y⟩
        const [forward, backward] = [tf.sum(tf.mul(y, dy)), tf.sum(tf.mul(x, dx))].map((sum) => sum.dataSync());
        expect(backward).toBeAllClose(forward!, { rtol: 1e-4, atol: 1e-4 });
      });
    }
  });

  it('transforms each image separately', async () => {
    await tf.ready();
    tf.tidy(() => {
      const images = tf.tensor4d(numbers(6, [2 * 5 * 4 * 3]), [2, 5, 4, 3]);
      const transforms = tf.tensor2d([1, 0.2, -1.4, 0.1, 1, 0.7, 0, 0, 0.5, 0, 2.2, 0, 1, -3.1, 0, 0], [2, 8]);
      const transform = (batch: tf.Tensor4D, by: tf.Tensor2D) =>
        tf.image.transform(batch, by, 'bilinear', 'reflect', 0, [4, 3]);
      const both = transform(images, transforms);
      for (const i of [0, 1]) {
        const one = transform(tf.slice(images, i, 1), tf.slice(transforms, i, 1));
        expect(tf.slice(both, i, 1).dataSync()).toEqual(one.dataSync());
      }
      expect(both.shape).toEqual([2, 4, 3, 3]);
    });
  });
});

it('an index beyond a tensor throws a coded error', () => {
  tf.tidy(() => {
    const x = tf.tensor1d([1, 2, 3, 4]);
    const image = tf.ones<tf.Rank.R4>([1, 2, 2, 1]);
    const box = tf.tensor2d([0, 0, 1, 1], [1, 4]);
    for (const take of [
      () => tf.gatherND(x, tf.tensor2d([4], [1, 1], 'int32')),
      () => tf.gatherND(x, tf.tensor2d([-1], [1, 1], 'int32')),
      () => tf.gatherND(tf.reshape(x, [2, 2]), tf.tensor2d([0, 3], [1, 2], 'int32')),
      () => tf.slice(x, [2], [5]),
      () => tf.image.cropAndResize(image, box, tf.tensor1d([1], 'int32'), [2, 2]),
      () => tf.image.cropAndResize(image, box, tf.tensor1d([-1], 'int32'), [2, 2]),
    ]) {
      expect(take).toThrow(expect.objectContaining({ code: 'INDEX_OUT_OF_RANGE' }));
    }
  });
});
