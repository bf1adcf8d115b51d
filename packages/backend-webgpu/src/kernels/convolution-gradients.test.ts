import '@tensorflow/tfjs-backend-cpu';
import { numbers, relativeError } from '@ghl/conformance/testing';
import { FILTER_GRADIENTS } from '@ghl/core/backend';
import type { WebGPUBackend } from '@tensorflow/tfjs-backend-webgpu';
import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { activate, deactivate } from '../index.js';
import { run, sizeOf, tensor } from './kernels.fixture.js';

beforeAll(async () => {
  await activate();
});
afterAll(deactivate);

type Quad = [number, number, number, number];
type Pad = 'same' | 'valid' | number | tf.backend_util.ExplicitPadding;

interface Convolution {
  readonly inputShape: Quad;
  readonly filterShape: Quad;
  readonly strides: [number, number];
  readonly pad: Pad;
  readonly cotangents: number;
}

/** The definition in float64: the input gradient of the first cotangent, and the filter gradient of each. */
function definition(
  info: tf.backend_util.Conv2DInfo,
  x: Float32Array,
  w: Float32Array,
  dys: readonly Float32Array[],
): { dx: Float64Array; dws: Float64Array[] } {
  const { batchSize, inHeight, inWidth, inChannels, outHeight, outWidth, outChannels } = info;
  const dx = new Float64Array(x.length);
  const dws = dys.map(() => new Float64Array(w.length));
  for (let b = 0; b < batchSize; b++)
    for (let p = 0; p < outHeight; p++)
      for (let q = 0; q < outWidth; q++)
        for (let i = 0; i < info.filterHeight; i++)
          for (let j = 0; j < info.filterWidth; j++) {
            const row = p * info.strideHeight + i - info.padInfo.top;
            const column = q * info.strideWidth + j - info.padInfo.left;
            if (row < 0 || row >= inHeight || column < 0 || column >= inWidth) continue;
            const xAt = ((b * inHeight + row) * inWidth + column) * inChannels;
            const wAt = (i * info.filterWidth + j) * inChannels * outChannels;
            const yAt = ((b * outHeight + p) * outWidth + q) * outChannels;
            for (let c = 0; c < inChannels; c++)
              for (let k = 0; k < outChannels; k++) {
                dx[xAt + c]! += w[wAt + c * outChannels + k]! * dys[0]![yAt + k]!;
                for (const [v, dw] of dws.entries()) dw[wAt + c * outChannels + k]! += x[xAt + c]! * dys[v]![yAt + k]!;
              }
          }
  return { dx, dws };
}

/** The errors of the input gradient, the filter gradient, and the filter gradients in one call. */
async function errors({ inputShape, filterShape, strides, pad, cotangents }: Convolution): Promise<number[]> {
  const info = tf.backend_util.computeConv2DInfo(inputShape, filterShape, strides, 1, pad);
  const x = numbers(1, inputShape);
  const w = numbers(2, filterShape);
  const dys = Array.from({ length: cotangents }, (_, v) => numbers(3 + v, info.outShape));
  const { dx, dws } = definition(info, x, w, dys);
  const attrs = { strides, pad, dataFormat: 'NHWC', inputShape, filterShape };
  const dy = (v: number) => tf.tensor4d(dys[v]!, info.outShape);
  const together = Object.fromEntries(dys.map((_, v) => [`dy${v}`, dy(v)]));
  const [input] = await run('Conv2DBackpropInput', { dy: dy(0), filter: tf.tensor4d(w, filterShape) }, attrs);
  const [filter] = await run('Conv2DBackpropFilter', { x: tf.tensor4d(x, inputShape), dy: dy(0) }, attrs);
  const filters = await run(FILTER_GRADIENTS, { x: tf.tensor4d(x, inputShape), ...together }, attrs);
  expect(filters).toHaveLength(cotangents);
  return [
    relativeError(input!, dx),
    relativeError(filter!, dws[0]!),
    ...filters.map((each, v) => relativeError(each, dws[v]!)),
  ];
}

const side = (most: number) => fc.integer({ min: 1, max: most });
const edge = fc.integer({ min: 0, max: 3 });
const padding: fc.Arbitrary<Pad> = fc.oneof(
  fc.constantFrom('same' as const, 'valid' as const),
  fc.integer({ min: 0, max: 4 }),
  fc.tuple(edge, edge, edge, edge).map(
    ([t, b, l, r]): Pad => [
      [0, 0],
      [t, b],
      [l, r],
      [0, 0],
    ],
  ),
);

/** Channels that are a multiple of 4 and others, within a panel of a tile and beyond it. */
const channels = fc.oneof(side(70), fc.constantFrom(4, 32, 36, 64, 68));

/** Any convolution with at least one output and few products. */
const convolution = fc
  .record({
    batch: side(5),
    size: fc.tuple(side(11), side(11)),
    inputs: channels,
    kernel: fc.tuple(side(7), side(7)),
    outputs: channels,
    strides: fc.tuple(side(3), side(3)),
    pad: padding,
    cotangents: side(3),
  })
  .map(
    ({ batch, size, inputs, kernel, outputs, ...rest }): Convolution => ({
      inputShape: [batch, ...size, inputs],
      filterShape: [...kernel, inputs, outputs],
      ...rest,
    }),
  )
  .filter(({ inputShape, filterShape, strides, pad }) => {
    try {
      const { outHeight, outWidth } = tf.backend_util.computeConv2DInfo(inputShape, filterShape, strides, 1, pad);
      const products = sizeOf(filterShape) * inputShape[0] * outHeight * outWidth;
      return outHeight > 0 && outWidth > 0 && products < 1e6;
    } catch {
      return false;
    }
  });

const most = 1e-5;
const shape: Convolution = {
  inputShape: [2, 5, 6, 4],
  filterShape: [3, 2, 4, 8],
  strides: [1, 1],
  pad: 'same',
  cotangents: 2,
};

describe('convolution gradients', () => {
  it('agree with float64 loops for random shapes', async () => {
    await fc.assert(
      fc.asyncProperty(convolution, async (each) => {
        for (const e of await errors(each)) expect(e).toBeLessThan(most);
      }),
      { numRuns: 40 },
    );
  }, 120_000);

  const tiles: [string, Partial<Convolution>][] = [
    ['one position, one channel', { inputShape: [1, 1, 1, 1], filterShape: [1, 1, 1, 1], pad: 'valid' }],
    ['tiles that are full', { inputShape: [1, 8, 8, 64], filterShape: [1, 1, 64, 64] }],
    ['one beyond full tiles', { inputShape: [1, 5, 13, 65], filterShape: [1, 1, 65, 65] }],
    ['many positions, summed in shares', { inputShape: [2, 34, 36, 3], filterShape: [3, 3, 3, 5] }],
    ['many outputs, summed in shares', { inputShape: [1, 3, 3, 5], filterShape: [3, 3, 5, 260] }],
    ['a kernel larger than the image', { inputShape: [2, 3, 2, 5], filterShape: [7, 6, 5, 6] }],
    ['taps that meet nothing', { inputShape: [2, 4, 4, 3], filterShape: [1, 2, 3, 4], strides: [3, 3], pad: 'valid' }],
    ['a stride that divides nothing', { inputShape: [1, 10, 7, 4], filterShape: [4, 3, 4, 4], strides: [3, 2] }],
  ];
  it.each(tiles)('agree with float64 loops: %s', async (_, part) => {
    for (const e of await errors({ ...shape, ...part })) expect(e).toBeLessThan(most);
  });

  it('do not depend on the dimensions of the dispatch', async () => {
    const backend = tf.backend() as WebGPUBackend;
    const { device } = backend;
    // With at most 5 workgroups a dimension, in place of 65,535, the stock backend distributes more than 25 over three.
    const small = new Proxy(device, {
      get(target, key) {
        if (key === 'limits') return { maxComputeWorkgroupsPerDimension: 5 };
        const value: unknown = Reflect.get(target, key, target);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
    backend.device = small;
    try {
      const wide: Convolution = { ...shape, inputShape: [5, 19, 19, 33], filterShape: [1, 2, 33, 40] };
      for (const e of await errors(wide)) expect(e).toBeLessThan(most);
    } finally {
      backend.device = device;
    }
  });

  it('have the same bits each time', async () => {
    const inputShape: Quad = [2, 34, 36, 3];
    const filterShape: Quad = [3, 3, 3, 5];
    const attrs = { strides: [1, 1], pad: 'same', dataFormat: 'NHWC', inputShape, filterShape };
    const once = () =>
      run(
        FILTER_GRADIENTS,
        { x: tensor(inputShape, 1), dy0: tensor([2, 34, 36, 5], 2), dy1: tensor([2, 34, 36, 5], 3) },
        attrs,
      );
    const first = await once();
    for (let i = 0; i < 3; i++) expect(await once()).toEqual(first);
  });

  it('propagate NaN', async () => {
    const spoilt = (size: readonly number[]) => {
      const all = numbers(1, size);
      all[all.length >> 1] = Number.NaN;
      return tf.tensor(all, [...size]);
    };
    const { inputShape, filterShape, strides, pad } = shape;
    const attrs = { strides, pad, dataFormat: 'NHWC', inputShape, filterShape };
    const dyShape = [2, 5, 6, 8];
    const results = [
      await run('Conv2DBackpropInput', { dy: spoilt(dyShape), filter: tensor(filterShape, 2) }, attrs),
      await run('Conv2DBackpropInput', { dy: tensor(dyShape, 2), filter: spoilt(filterShape) }, attrs),
      await run('Conv2DBackpropFilter', { x: tensor(inputShape, 2), dy: spoilt(dyShape) }, attrs),
      await run('Conv2DBackpropFilter', { x: spoilt(inputShape), dy: tensor(dyShape, 2) }, attrs),
    ];
    for (const [result] of results) expect(result!.some(Number.isNaN)).toBe(true);
  });

  it('accept a ∂y of either rounding, and throw for any other size', async () => {
    const [x, filter] = [tf.ones([1, 6, 6, 1]), tf.ones([3, 3, 1, 1])];
    const attrs = { strides: [2, 2], pad: 0, dataFormat: 'NHWC', filterShape: [3, 3, 1, 1], inputShape: [1, 6, 6, 1] };
    for (const size of [2, 3]) {
      const dy = tf.ones([1, size, size, 1]);
      const [dw, dx] = ['Conv2DBackpropFilter', 'Conv2DBackpropInput'].map(
        (name) => tf.engine().runKernel(name, { x, dy, filter }, attrs as never) as tf.Tensor,
      );
      expect((await dw!.data())[0]).toBe(size ** 2);
      // A position outside all windows if the size is rounded down.
      expect((await dx!.data()).at(-1)).toBe(size === 3 ? 1 : 0);
      tf.dispose([dy, dw!, dx!]);
    }
    const dy = tf.ones([1, 5, 5, 1]);
    for (const name of ['Conv2DBackpropFilter', 'Conv2DBackpropInput', FILTER_GRADIENTS]) {
      const inputs = name === FILTER_GRADIENTS ? { x, dy0: dy } : { x, dy, filter };
      expect(() => tf.engine().runKernel(name, inputs as never, attrs as never)).toThrow(
        expect.objectContaining({ code: 'WRONG_SHAPE', help: expect.any(String) }),
      );
    }
    // Each size follows from a rounding, but not both from the same.
    const [dy0, dy1] = [tf.ones([1, 2, 2, 1]), tf.ones([1, 3, 3, 1])];
    expect(() => tf.engine().runKernel(FILTER_GRADIENTS, { x, dy0, dy1 }, attrs as never)).toThrow(
      expect.objectContaining({ code: 'WRONG_SHAPE' }),
    );
    tf.dispose([x, filter, dy, dy0, dy1]);
  });

  it('throw coded errors for empty tensors, and for several cotangents with channels first', async () => {
    const attrs = { strides: 1, pad: 'same', inputShape: [1, 2, 5, 5], filterShape: [3, 3, 2, 2] };
    const [x, none, w] = [tf.ones([1, 2, 5, 5]), tf.zeros([0, 5, 5, 2]), tf.ones([3, 3, 2, 2])];
    const code = (expected: string) => expect.objectContaining({ code: expected });
    const calls: [string, tf.NamedTensorMap][] = [
      ['Conv2DBackpropFilter', { x: none, dy: none }],
      [FILTER_GRADIENTS, { x: none, dy0: none, dy1: none }],
      ['Conv2DBackpropInput', { dy: none, filter: w }],
    ];
    for (const [name, inputs] of calls) {
      expect(() => tf.engine().runKernel(name, inputs, { ...attrs, dataFormat: 'NHWC' } as never)).toThrow(
        code('EMPTY_TENSOR'),
      );
    }
    const channelsFirst = { ...attrs, dataFormat: 'NCHW' } as never;
    expect(() => tf.engine().runKernel(FILTER_GRADIENTS, { x, dy0: x, dy1: x }, channelsFirst)).toThrow(
      code('UNSUPPORTED_DATA_FORMAT'),
    );
    tf.dispose([x, none, w]);
  });

  it('agree with the cpu backend for channels first', async () => {
    const inputShape: Quad = [2, 3, 6, 5];
    const filterShape: Quad = [3, 2, 3, 4];
    const attrs = { strides: [2, 1], pad: 'same', dataFormat: 'NCHW', inputShape, filterShape };
    const dyShape = [2, 4, 3, 5];
    const both = async () => [
      ...(await run('Conv2DBackpropInput', { dy: tensor(dyShape, 1), filter: tensor(filterShape, 2) }, attrs)),
      ...(await run('Conv2DBackpropFilter', { x: tensor(inputShape, 3), dy: tensor(dyShape, 1) }, attrs)),
    ];
    const actual = await both();
    await tf.setBackend('cpu');
    const expected = await both();
    await tf.setBackend('webgpu');
    for (const [i, gradient] of actual.entries()) expect(relativeError(gradient, expected[i]!)).toBeLessThan(most);
  });

  it('leak no tensor and no buffer', async () => {
    const backend = tf.backend() as WebGPUBackend;
    await errors(shape);
    const before = [tf.memory().numTensors, backend.numDataIds()];
    await errors({ ...shape, inputShape: [2, 34, 36, 3], filterShape: [3, 3, 3, 5] });
    expect([tf.memory().numTensors, backend.numDataIds()]).toEqual(before);
  });
});
