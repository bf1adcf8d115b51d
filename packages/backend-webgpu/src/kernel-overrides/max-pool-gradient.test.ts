import '@tensorflow/tfjs-backend-cpu';
import { numbers, relativeError } from '@ghl/conformance/testing';
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-layers';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { activate, deactivate } from '../index.js';
import { run, sizeOf, tensor } from '../kernels/kernels.fixture.js';

beforeAll(async () => {
  await activate();
});
afterAll(deactivate);

type Quad = [number, number, number, number];

interface Pool {
  readonly shape: Quad;
  readonly filterSize: [number, number];
  readonly strides: [number, number];
  readonly pad: 'same' | 'valid' | number | tf.backend_util.ExplicitPadding;
}

const infoOf = ({ shape, filterSize, strides, pad }: Pool) =>
  tf.backend_util.computePool2DInfo(shape, filterSize, strides, 1, pad);

/** The definition: ∂y of each window belongs to the first maximum, or to the first value of a window with a NaN. */
function definition(pool: Pool, x: Float32Array, dy: Float32Array): Float64Array {
  const { batchSize, inHeight, inWidth, inChannels, outHeight, outWidth, padInfo, ...info } = infoOf(pool);
  const dx = new Float64Array(x.length);
  let y = 0;
  for (let b = 0; b < batchSize; b++)
    for (let p = 0; p < outHeight; p++)
      for (let q = 0; q < outWidth; q++)
        for (let c = 0; c < inChannels; c++) {
          const window: number[] = [];
          for (let i = 0; i < info.filterHeight; i++)
            for (let j = 0; j < info.filterWidth; j++) {
              const [row, column] = [p * info.strideHeight + i - padInfo.top, q * info.strideWidth + j - padInfo.left];
              if (row < 0 || row >= inHeight || column < 0 || column >= inWidth) continue;
              window.push(((b * inHeight + row) * inWidth + column) * inChannels + c);
            }
          const greatest = Math.max(...window.map((at) => x[at]!));
          const first = Number.isNaN(greatest) ? window[0] : window.find((at) => x[at] === greatest);
          if (first !== undefined) dx[first]! += dy[y]!;
          y++;
        }
  return dx;
}

async function gradient({ shape, filterSize, strides, pad }: Pool, x: Float32Array, dy: Float32Array) {
  const { outShape } = infoOf({ shape, filterSize, strides, pad });
  // The kernel does not read the output.
  const inputs = { dy: tf.tensor4d(dy, outShape), input: tf.tensor4d(x, shape), output: tf.zeros(outShape) };
  const [dx] = await run('MaxPoolGrad', inputs, { filterSize, strides, pad });
  return dx!;
}

const upTo = (most: number, least = 1) => fc.integer({ min: least, max: most });
const anyPool: fc.Arbitrary<Pool> = fc
  .record({
    shape: fc.tuple(upTo(4), upTo(11), upTo(11), upTo(20)) as fc.Arbitrary<Quad>,
    filterSize: fc.tuple(upTo(5), upTo(5)),
    strides: fc.tuple(upTo(4), upTo(4)),
    pad: fc.oneof(
      fc.constantFrom('same' as const, 'valid' as const),
      fc.tuple(upTo(2, 0), upTo(2, 0), upTo(2, 0), upTo(2, 0)).map(
        ([t, b, l, r]): tf.backend_util.ExplicitPadding => [
          [0, 0],
          [t, b],
          [l, r],
          [0, 0],
        ],
      ),
    ),
  })
  .filter((pool) => {
    const { outHeight, outWidth } = infoOf(pool);
    return outHeight > 0 && outWidth > 0;
  });

it('assigns ∂y to the first maximum, for random shapes', async () => {
  const among = [-1, -0.5, 0, 0.5, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.NaN];
  const kinds = fc.constantFrom(among.slice(0, 4), among.slice(0, 6), among);
  await fc.assert(
    fc.asyncProperty(anyPool, kinds, fc.nat(1000), async (pool, kind, seed) => {
      // Few distinct values, so several are equal.
      const x = numbers(seed, pool.shape).map((value) => kind[Math.floor(((value + 1) / 2) * kind.length)]!);
      const dy = numbers(seed + 1, infoOf(pool).outShape);
      expect(relativeError(await gradient(pool, x, dy), definition(pool, x, dy))).toBeLessThan(1e-6);
    }),
    { numRuns: 60 },
  );
});

it('agrees with the cpu backend for explicit padding, and for one image', async () => {
  const squared = (pool: (t: tf.Tensor) => tf.Tensor) => (t: tf.Tensor) => tf.sum(tf.square(pool(t)));
  const gradients = async () => {
    const [x, image] = [tensor([2, 8, 7, 3], 1), tensor([8, 6, 3], 2)];
    const all = [
      tf.grad(squared((t) => tf.maxPool(t as tf.Tensor4D, 4, 2, 1)))(x),
      tf.grad(squared((t) => tf.maxPool(t as tf.Tensor3D, 2, 2, 'same')))(image),
    ];
    const read = await Promise.all(all.map((each) => each.data<'float32'>()));
    tf.dispose([x, image, ...all]);
    return read;
  };
  const actual = await gradients();
  await tf.setBackend('cpu');
  const expected = await gradients();
  await tf.setBackend('webgpu');
  for (const [i, each] of actual.entries()) expect(relativeError(each, expected[i]!)).toBeLessThan(1e-6);
});

it('covers windows that extend beyond the image if sizes are rounded up', async () => {
  const x = tf.tensor4d([0, 1, 2, 3, 4, 5, 6, 7, 8], [1, 3, 3, 1]);
  const dx = tf.grad((t) => tf.maxPool(t as tf.Tensor4D, 2, 2, 0, 'ceil'))(x);
  expect(Array.from(await dx.data())).toEqual([0, 0, 0, 0, 1, 1, 0, 1, 1]);
  tf.dispose([x, dx]);
});

it('propagates a NaN of ∂y, even if x is NaN too', async () => {
  const pool: Pool = { shape: [2, 7, 6, 5], filterSize: [3, 3], strides: [2, 2], pad: 'same' };
  const dy = new Float32Array(sizeOf(infoOf(pool).outShape));
  dy[30] = Number.NaN;
  for (const fill of [1, Number.NaN]) {
    const dx = await gradient(pool, new Float32Array(sizeOf(pool.shape)).fill(fill), dy);
    expect(dx.filter(Number.isNaN)).toHaveLength(1);
  }
});

it('throws a coded error for an empty tensor', () => {
  const none = tf.zeros([0, 2, 2, 2]);
  const attrs = { filterSize: [2, 2], strides: [2, 2], pad: 'same' } as never;
  expect(() => tf.engine().runKernel('MaxPoolGrad', { dy: none, input: none, output: none }, attrs)).toThrow(
    expect.objectContaining({ code: 'EMPTY_TENSOR' }),
  );
  none.dispose();
});
