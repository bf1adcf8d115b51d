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

type Quad = [number, number, number, number];
type Pad = 'same' | 'valid' | number | tf.backend_util.ExplicitPadding;

function run(name: string, inputs: tf.NamedTensorMap, attrs: object): Float32Array {
  return tf.tidy(() => (tf.engine().runKernel(name, inputs, attrs as never) as tf.Tensor).dataSync<'float32'>());
}

/** The definition of both gradients of a convolution, full or depthwise, in float64. */
function convolutionGradients(
  info: tf.backend_util.Conv2DInfo,
  depthwise: boolean,
  x: Float32Array,
  w: Float32Array,
  dy: Float32Array,
): { dx: Float64Array; dw: Float64Array } {
  const [dx, dw] = [new Float64Array(x.length), new Float64Array(w.length)];
  forEachTerm(info, depthwise, (xAt, yAt, wAt) => {
    dx[xAt]! += w[wAt]! * dy[yAt]!;
    dw[wAt]! += x[xAt]! * dy[yAt]!;
  });
  return { dx, dw };
}

interface Convolution {
  readonly inputShape: Quad;
  readonly filterShape: Quad;
  readonly strides: [number, number];
  readonly pad: Pad;
}

function gradientErrors(
  { inputShape, filterShape, strides, pad }: Convolution,
  depthwise: boolean,
  dilations = 1,
): number[] {
  const info = tf.backend_util.computeConv2DInfo(
    inputShape,
    filterShape,
    strides,
    dilations,
    pad,
    undefined,
    depthwise,
  );
  const x = numbers(1, inputShape);
  const w = numbers(2, filterShape);
  const dy = numbers(3, info.outShape);
  const { dx, dw } = convolutionGradients(info, depthwise, x, w, dy);
  const attrs = { strides, pad, dataFormat: 'NHWC', dilations, inputShape, filterShape };
  const kernel = depthwise ? 'DepthwiseConv2dNativeBackprop' : 'Conv2DBackprop';
  return tf.tidy(() => {
    const g = tf.tensor4d(dy, info.outShape);
    return [
      relativeError(run(`${kernel}Input`, { dy: g, filter: tf.tensor4d(w, filterShape) }, attrs), dx),
      relativeError(run(`${kernel}Filter`, { x: tf.tensor4d(x, inputShape), dy: g }, attrs), dw),
    ];
  });
}

const side = (most: number) => fc.integer({ min: 1, max: most });
const padding: fc.Arbitrary<Pad> = fc.oneof(
  fc.constantFrom('same' as const, 'valid' as const),
  fc.integer({ min: 0, max: 4 }),
  fc
    .tuple(
      ...(Array<fc.Arbitrary<number>>(4).fill(fc.integer({ min: 0, max: 3 })) as [
        fc.Arbitrary<number>,
        fc.Arbitrary<number>,
        fc.Arbitrary<number>,
        fc.Arbitrary<number>,
      ]),
    )
    .map(
      ([t, b, l, r]): Pad => [
        [0, 0],
        [t, b],
        [l, r],
        [0, 0],
      ],
    ),
);

/** Any convolution with at least one output. */
const convolution = (channels: number, outputs: number): fc.Arbitrary<Convolution> =>
  fc
    .record({
      inputShape: fc.tuple(side(5), fc.integer({ min: 1, max: 13 }), fc.integer({ min: 1, max: 13 }), side(channels)),
      kernel: fc.tuple(side(7), side(7), side(outputs)),
      strides: fc.tuple(side(3), side(3)),
      pad: padding,
    })
    .map(({ inputShape, kernel: [h, w, k], strides, pad }) => ({
      inputShape,
      filterShape: [h, w, inputShape[3], k] as Quad,
      strides,
      pad,
    }))
    .filter(({ inputShape, filterShape, strides, pad }) => {
      try {
        const { outHeight, outWidth } = tf.backend_util.computeConv2DInfo(inputShape, filterShape, strides, 1, pad);
        return outHeight > 0 && outWidth > 0;
      } catch {
        return false;
      }
    });

describe('convolution gradients agree with float64 loops', () => {
  const pads: Pad[] = [
    'same',
    'valid',
    1,
    [
      [0, 0],
      [2, 0],
      [1, 3],
      [0, 0],
    ],
  ];
  const grid = [1, 2, 3, 5, 7].flatMap((k) => [1, 2, 3].flatMap((s) => pads.map((pad) => ({ k, s, pad }))));

  test.each(grid)('kernel $k stride $s padding $pad', ({ k, s, pad }) => {
    for (const [cin, cout] of [
      [1, 8],
      [3, 5],
      [9, 4],
    ] as const) {
      const shape = {
        inputShape: [2, 11, 9, cin] as Quad,
        filterShape: [k, k, cin, cout] as Quad,
        strides: [s, s] as [number, number],
        pad,
      };
      for (const e of gradientErrors(shape, false)) expect(e).toBeLessThan(1e-5);
    }
    for (const [c, m] of [
      [1, 1],
      [5, 1],
      [3, 4],
    ] as const) {
      const shape = {
        inputShape: [2, 11, 9, c] as Quad,
        filterShape: [k, k, c, m] as Quad,
        strides: [s, s] as [number, number],
        pad,
      };
      for (const e of gradientErrors(shape, true)) expect(e).toBeLessThan(1e-5);
    }
  });

  test('any convolution', () => {
    fc.assert(
      fc.property(convolution(9, 9), (c) => gradientErrors(c, false).every((e) => e < 1e-5)),
      { numRuns: 150 },
    );
  });

  test('any depthwise convolution', () => {
    fc.assert(
      fc.property(convolution(9, 3), (c) => gradientErrors(c, true).every((e) => e < 1e-5)),
      { numRuns: 150 },
    );
  });

  test('dilated depthwise convolution', () => {
    const shape: Convolution = { inputShape: [2, 9, 10, 3], filterShape: [3, 2, 3, 2], strides: [1, 1], pad: 'same' };
    for (const e of gradientErrors(shape, true, 2)) expect(e).toBeLessThan(1e-5);
  });

  test('both algorithms of the input gradient: many output channels and a small output select the second', () => {
    for (const size of [5, 24]) {
      const shape: Convolution = {
        inputShape: [2, size, size, 6],
        filterShape: [3, 3, 6, 70],
        strides: [1, 1],
        pad: 'valid',
      };
      for (const e of gradientErrors(shape, false)) expect(e).toBeLessThan(1e-5);
    }
  });

  test.each(['same', 'valid'] as const)('NaN in ∂y, x or W reaches the result, %s', (pad) => {
    const [x, w] = [
      tf.tensor4d(numbers(1, [2 * 7 * 7 * 3]), [2, 7, 7, 3]),
      tf.tensor4d(numbers(2, [9 * 3 * 4]), [3, 3, 3, 4]),
    ];
    const dy = tf.zerosLike(tf.conv2d(x, w, 1, pad));
    const nan = (t: tf.Tensor) => {
      const v = t.dataSync().slice();
      v[v.length >> 1] = NaN;
      return tf.tensor(v, t.shape);
    };
    const attrs = { strides: 1, pad, dataFormat: 'NHWC', inputShape: x.shape, filterShape: w.shape };
    const results = [
      run('Conv2DBackpropInput', { dy: nan(dy), filter: w }, attrs),
      run('Conv2DBackpropInput', { dy, filter: nan(w) }, attrs),
      run('Conv2DBackpropFilter', { x, dy: nan(dy) }, attrs),
      run('Conv2DBackpropFilter', { x: nan(x), dy }, attrs),
    ];
    for (const r of results) expect(r.some(Number.isNaN)).toBe(true);
  });

  test.each(['Conv2DBackprop', 'DepthwiseConv2dNativeBackprop'])(
    '%s throws a coded error for an empty batch',
    (kernel) => {
      const [x, dy, w] = [tf.zeros([0, 5, 5, 2]), tf.zeros([0, 5, 5, 2]), tf.zeros([3, 3, 2, 1])];
      const attrs = {
        strides: 1,
        dilations: 1,
        pad: 'same',
        dataFormat: 'NHWC',
        inputShape: x.shape,
        filterShape: [3, 3, 2, 1],
      };
      const code = expect.objectContaining({ code: 'EMPTY_TENSOR' });
      expect(() => run(`${kernel}Filter`, { x, dy }, attrs)).toThrow(code);
      expect(() => run(`${kernel}Input`, { dy, filter: w }, attrs)).toThrow(code);
    },
  );

  test('channels first throws a coded error', () => {
    const x = tf.ones([1, 2, 5, 5]);
    const attrs = { strides: 1, pad: 'same', dataFormat: 'NCHW', filterShape: [3, 3, 2, 2] };
    expect(() => run('Conv2DBackpropFilter', { x, dy: x }, attrs)).toThrow(
      expect.objectContaining({ code: 'UNSUPPORTED_DATA_FORMAT' }),
    );
  });
});

describe('matrix products', () => {
  const transposed = fc.record({
    m: side(20),
    k: side(40),
    n: side(60),
    a: fc.boolean(),
    b: fc.boolean(),
    batch: fc.constantFrom(0, 1, 2),
  });

  test('agree with float64 loops for any shape, transposed or not', () => {
    fc.assert(
      fc.property(transposed, ({ m, k, n, a, b, batch }) => {
        const [left, right] = [numbers(8, [Math.max(1, batch) * m * k]), numbers(9, [Math.max(1, batch) * k * n])];
        const expected = new Float64Array(Math.max(1, batch) * m * n);
        for (let s = 0; s < Math.max(1, batch); s++)
          for (let i = 0; i < m; i++)
            for (let j = 0; j < n; j++)
              for (let l = 0; l < k; l++)
                expected[(s * m + i) * n + j]! +=
                  left[s * m * k + (a ? l * m + i : i * k + l)]! * right[s * k * n + (b ? j * k + l : l * n + j)]!;
        const outer = batch === 0 ? [] : [batch];
        return tf.tidy(() => {
          const x = tf.tensor(left, [...outer, ...(a ? [k, m] : [m, k])]);
          const y = tf.tensor(right, [...outer, ...(b ? [n, k] : [k, n])]);
          const out = tf.matMul(x, y, a, b);
          expect(out.shape).toEqual([...outer, m, n]);
          return relativeError(out.dataSync(), expected) < 1e-5;
        });
      }),
      { numRuns: 200 },
    );
  });
});

describe('repetition and segments', () => {
  const shapes = fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 1, maxLength: 4 });

  test('tile repeats every value by its index', () => {
    fc.assert(
      fc.property(
        shapes.chain((shape) =>
          fc.tuple(fc.constant(shape), fc.array(side(4), { minLength: shape.length, maxLength: shape.length })),
        ),
        ([shape, reps]) => {
          const x = numbers(11, shape);
          const size = shape.map((d, i) => d * reps[i]!);
          const expected = Array.from({ length: sizeOf(size) }, (_, flat) => {
            let [rest, at, stride] = [flat, 0, 1];
            for (let axis = shape.length - 1; axis >= 0; axis--) {
              at += ((rest % size[axis]!) % shape[axis]!) * stride;
              rest = Math.floor(rest / size[axis]!);
              stride *= shape[axis]!;
            }
            return x[at]!;
          });
          expect([...tf.tidy(() => tf.tile(tf.tensor(x, shape), reps).dataSync())]).toEqual(expected);
        },
      ),
    );
    expect([...tf.tile(tf.tensor1d([true, false], 'bool'), [2]).dataSync()]).toEqual([1, 0, 1, 0]);
  });

  test('segment sums drop ids below 0, and are the gradient of gather', () => {
    const x = tf.tensor2d([
      [1, 2],
      [3, 4],
      [5, 6],
      [7, 8],
    ]);
    const ids = tf.tensor1d([2, 0, 2, -1], 'int32');
    expect([...tf.unsortedSegmentSum(x, ids, 3).dataSync()]).toEqual([3, 4, 0, 0, 6, 8]);
    expect([...tf.unsortedSegmentSum(tf.cast(x, 'int32'), ids, 3).dataSync()]).toEqual([3, 4, 0, 0, 6, 8]);
    const dx = tf.grad((t: tf.Tensor) => tf.sum(tf.gather(t, tf.tensor1d([1, 1, 3], 'int32'))))(x);
    expect([...dx.dataSync()]).toEqual([0, 0, 2, 2, 0, 0, 1, 1]);
  });
});

test('no kernel leaks a tensor or a buffer', () => {
  const backend = tf.backend() as unknown as { numDataIds(): number };
  const [tensors, buffers] = [tf.memory().numTensors, backend.numDataIds()];
  gradientErrors({ inputShape: [2, 6, 6, 3], filterShape: [3, 3, 3, 70], strides: [1, 1], pad: 'valid' }, false);
  gradientErrors({ inputShape: [2, 6, 6, 3], filterShape: [3, 3, 3, 4], strides: [2, 2], pad: 'same' }, false);
  gradientErrors({ inputShape: [2, 6, 6, 3], filterShape: [3, 3, 3, 2], strides: [1, 1], pad: 'same' }, true);
  tf.tidy(() => {
    for (const [a, b] of [
      [true, false],
      [false, true],
      [true, true],
    ] as const) {
      tf.matMul(tf.ones([4, 4]), tf.ones([4, 4]), a, b);
      tf.matMul(tf.ones(a ? [40, 2] : [2, 40]), tf.ones(b ? [90, 40] : [40, 90]), a, b);
    }
  });
  expect([tf.memory().numTensors, backend.numDataIds()]).toEqual([tensors, buffers]);
});
