import { numbers, relativeError } from '@ghl/conformance/testing';
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-layers';
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { activate, deactivate } from '../index.js';
import { expectSame, onBoth, sizeOf } from './kernels.fixture.js';

beforeAll(async () => {
  await activate({ threads: 2 });
});
afterAll(deactivate);
beforeEach(() => tf.engine().startScope());
afterEach(() => tf.engine().endScope());

type Quad = [number, number, number, number];
type Pair = [number, number];

interface Pool {
  readonly shape: Quad;
  readonly window: Pair;
  readonly strides: Pair;
  readonly pad: 'same' | 'valid' | tf.backend_util.ExplicitPadding;
}

const upTo = (most: number, least = 1) => fc.integer({ min: least, max: most });
const explicit = fc.tuple(upTo(2, 0), upTo(2, 0), upTo(2, 0), upTo(2, 0)).map(
  ([t, b, l, r]): tf.backend_util.ExplicitPadding => [
    [0, 0],
    [t, b],
    [l, r],
    [0, 0],
  ],
);

const anyPool: fc.Arbitrary<Pool> = fc
  .record({
    shape: fc.tuple(upTo(9), upTo(11), upTo(11), fc.oneof(upTo(9), upTo(40), upTo(150, 128))) as fc.Arbitrary<Quad>,
    window: fc.tuple(upTo(5), upTo(5)),
    strides: fc.tuple(upTo(4), upTo(4)),
    pad: fc.oneof(fc.constantFrom('same' as const, 'valid' as const), explicit),
  })
  .filter((pool) => {
    const { outHeight, outWidth } = infoOf(pool);
    return outHeight > 0 && outWidth > 0;
  });

const infoOf = ({ shape, window, strides, pad }: Pool) =>
  tf.backend_util.computePool2DInfo(shape, window, strides, 1, pad);

/** Calls `visit` with the offset of y and those of the values of x in its window, in the order of rows and columns. */
function forEachWindow(pool: Pool, visit: (y: number, window: number[]) => void): void {
  const { batchSize, inHeight, inWidth, inChannels, outHeight, outWidth, ...info } = infoOf(pool);
  let y = 0;
  for (let b = 0; b < batchSize; b++)
    for (let p = 0; p < outHeight; p++)
      for (let q = 0; q < outWidth; q++)
        for (let c = 0; c < inChannels; c++) {
          const window: number[] = [];
          for (let i = 0; i < info.filterHeight; i++)
            for (let j = 0; j < info.filterWidth; j++) {
              const row = p * info.strideHeight + i - info.padInfo.top;
              const column = q * info.strideWidth + j - info.padInfo.left;
              if (row < 0 || row >= inHeight || column < 0 || column >= inWidth) continue;
              window.push(((b * inHeight + row) * inWidth + column) * inChannels + c);
            }
          visit(y++, window);
        }
}

/** Few distinct values, with many repetitions. */
const coarse = (size: number, seed: number) => numbers(seed, [size]).map((value) => Math.round(3 * value));

function poolAndGradient(kind: 'maxPool' | 'avgPool', pool: Pool, x: Float32Array, seed: number) {
  return tf.tidy(() => {
    const tensor = tf.tensor4d(x, pool.shape);
    const pooling = kind === 'maxPool' ? tf.maxPool : tf.avgPool;
    const run = (t: tf.Tensor) => pooling(t as tf.Tensor4D, pool.window, pool.strides, pool.pad as 'same');
    const y = run(tensor);
    const dy = tf.tensor(numbers(seed, [y.size]), y.shape);
    const dx = tf.grad(run)(tensor, dy);
    return { y: y.dataSync<'float32'>(), dy: dy.dataSync<'float32'>(), dx: dx.dataSync<'float32'>() };
  });
}

describe('any pool', () => {
  it('returns the maximum, and passes its gradient to the first maximum', () => {
    fc.assert(
      fc.property(anyPool, fc.nat(1000), (pool, seed) => {
        const x = coarse(sizeOf(pool.shape), seed);
        const { y, dy, dx } = poolAndGradient('maxPool', pool, x, seed);
        const gradient = new Float64Array(x.length);
        const maxima = new Float64Array(y.length);
        forEachWindow(pool, (at, window) => {
          const largest = Math.max(...window.map((i) => x[i]!));
          maxima[at] = largest;
          const first = window.find((i) => x[i] === largest);
          if (first !== undefined) gradient[first]! += dy[at]!;
        });
        expectSame(y, maxima);
        expect(relativeError(dx, gradient)).toBeLessThan(1e-6);
      }),
      { numRuns: 60 },
    );
  });

  it('returns the average of the values in the window, whose gradient is shared equally', () => {
    fc.assert(
      fc.property(anyPool, fc.nat(1000), (pool, seed) => {
        const x = numbers(seed, pool.shape);
        const { y, dy, dx } = poolAndGradient('avgPool', pool, x, seed);
        const gradient = new Float64Array(x.length);
        const means = new Float64Array(y.length);
        forEachWindow(pool, (at, window) => {
          means[at] = window.reduce((sum, i) => sum + x[i]!, 0) / window.length;
          for (const i of window) gradient[i]! += dy[at]! / window.length;
        });
        expectSame(y.map(Number.isNaN as never), means.map(Number.isNaN as never));
        const finite = (list: Float32Array | Float64Array) => [...list].filter((value) => !Number.isNaN(value));
        expect(relativeError(finite(y), finite(means))).toBeLessThan(1e-6);
        expect(relativeError(dx, gradient)).toBeLessThan(1e-6);
      }),
      { numRuns: 60 },
    );
  });

  it('sums a long window without drift', () => {
    const pool: Pool = { shape: [1, 20001, 1, 5], window: [20001, 1], strides: [1, 1], pad: 'valid' };
    const x = numbers(3, pool.shape).map((value) => 1 + value / 8);
    const { y } = poolAndGradient('avgPool', pool, x, 1);
    forEachWindow(pool, (at, window) => {
      expect(Math.abs(y[at]! - window.reduce((sum, i) => sum + x[i]!, 0) / window.length)).toBeLessThan(1e-5);
    });
  });

  it('agrees with the cpu backend for explicit padding, rounding up, and one image', async () => {
    const [wasm, cpu] = await onBoth(() => {
      const x = tf.tensor4d(numbers(7, [8 * 6 * 3]), [1, 8, 6, 3]);
      const squared = (pool: (t: tf.Tensor4D) => tf.Tensor) => (t: tf.Tensor) =>
        tf.sum(tf.square(pool(t as tf.Tensor4D)));
      return [
        tf.grad(squared((t) => tf.maxPool(t, 4, 2, 1)))(x),
        tf.maxPool(x, 3, 2, 0, 'ceil'),
        tf.avgPool(x, 3, 2, 0, 'ceil'),
        tf.maxPool(tf.reshape(x, [8, 6, 3]) as tf.Tensor3D, 2, 2, 'valid'),
      ];
    });
    for (const [i, result] of wasm.entries()) expect(relativeError(result, cpu[i]!)).toBeLessThan(1e-6);
  });
});

describe('NaN', () => {
  const pool: Pool = { shape: [2, 7, 6, 21], window: [3, 3], strides: [2, 2], pad: 'same' };

  it.each(['maxPool', 'avgPool'] as const)('in x reaches every %s whose window holds it, and no other', (kind) => {
    const x = numbers(1, pool.shape).map((value, i) => (i % 97 === 5 ? Number.NaN : value));
    const { y } = poolAndGradient(kind, pool, x, 1);
    forEachWindow(pool, (at, window) => {
      expect(Number.isNaN(y[at])).toBe(window.some((i) => Number.isNaN(x[i])));
    });
  });

  it.each(['MaxPoolGrad', 'AvgPoolGrad'])('in ∂y reaches the result of %s, even where x is NaN too', (name) => {
    const { window: filterSize, strides, pad, shape } = pool;
    for (const fill of [1, Number.NaN]) {
      const input = tf.fill(shape, fill);
      const output = tf.maxPool(input as tf.Tensor4D, filterSize, strides, pad as 'same');
      const dy = output.dataSync().map((_, i) => (i === 30 ? Number.NaN : 0));
      const inputs = { dy: tf.tensor(dy, output.shape), input, output };
      const dx = tf.engine().runKernel(name, inputs, { filterSize, strides, pad } as never) as tf.Tensor;
      expect(dx.dataSync().some(Number.isNaN)).toBe(true);
    }
  });

  it('does not result from an infinite window', () => {
    const { y } = poolAndGradient('maxPool', pool, new Float32Array(sizeOf(pool.shape)).fill(-Infinity), 1);
    expect(y.every((value) => value === -Infinity)).toBe(true);
  });
});

it('an empty batch has an empty pool, and its gradient throws', () => {
  const x = tf.zeros([0, 4, 4, 2]) as tf.Tensor4D;
  expect(tf.maxPool(x, 2, 2, 'valid').shape).toEqual([0, 2, 2, 2]);
  expect(tf.avgPool(x, 2, 2, 'valid').shape).toEqual([0, 2, 2, 2]);
  const attrs = { filterSize: [2, 2], strides: [2, 2], pad: 'valid' } as never;
  for (const name of ['MaxPoolGrad', 'AvgPoolGrad']) {
    const inputs = { dy: tf.zeros([0, 2, 2, 2]), input: x, output: tf.zeros([0, 2, 2, 2]) };
    expect(() => tf.engine().runKernel(name, inputs, attrs)).toThrow(expect.objectContaining({ code: 'EMPTY_TENSOR' }));
  }
});

it('a pool of int32 has the type int32', () => {
  tf.tidy(() => {
    const y = tf.maxPool(tf.tensor4d([-3, -7, -5, -9], [1, 2, 2, 1], 'int32'), 2, 2, 'valid');
    expect([y.dtype, ...y.dataSync()]).toEqual(['int32', -3]);
  });
});
