/**
 * Connections against float64 loops over the definition, and against each other: forward, correlate and backward are
 * adjoint.
 */
import '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';
import { ConfigurationError } from '../errors.js';
import { numbers, tensor } from '../numbers.fixture.js';
import { type Connection, type ConvolutionOptions, conv1d, conv2d, dense, depthwiseConv2d } from './connection.js';

const inner = (a: tf.Tensor, b: tf.Tensor) => {
  const [x, y] = [a.dataSync<'float32'>(), b.dataSync<'float32'>()];
  return x.reduce((sum, each, i) => sum + each * (y[i] as number), 0);
};

/**
 * Every product of a connection on an input, from the definition: x at flat index i times w at j is added to y at o.
 */
function products(
  kind: 'conv2d' | 'depthwiseConv2d',
  [batch, height, width, channels]: readonly number[],
  [kh, kw, , last]: readonly number[],
  { strides, dilations, padding }: Required<ConvolutionOptions>,
) {
  const pair = (value: number | readonly number[]) => (typeof value === 'number' ? [value, value] : [...value]);
  const [stride, dilation] = [pair(strides), pair(dilations)];
  const [b, h, w, c, depth] = [batch, height, width, channels, last] as [number, number, number, number, number];
  const axis = (size: number, taps: number, i: 0 | 1): { before: number; outputs: number } => {
    const [s, d] = [stride[i] as number, dilation[i] as number];
    const reach = (taps - 1) * d + 1;
    if (padding === 'same') {
      const outputs = Math.ceil(size / s);
      return { outputs, before: Math.floor(Math.max((outputs - 1) * s + reach - size, 0) / 2) };
    }
    const [before, after] =
      padding === 'valid'
        ? [0, 0]
        : typeof padding === 'number'
          ? [padding, padding]
          : (padding[i] as [number, number]);
    return { outputs: Math.floor((size + before + after - reach) / s) + 1, before };
  };
  const [rows, columns] = [axis(h, kh as number, 0), axis(w, kw as number, 1)];
  const out = kind === 'conv2d' ? depth : c * depth;
  const all: [i: number, j: number, o: number][] = [];
  for (let n = 0; n < b; n++)
    for (let oy = 0; oy < rows.outputs; oy++)
      for (let ox = 0; ox < columns.outputs; ox++)
        for (let ky = 0; ky < (kh as number); ky++)
          for (let kx = 0; kx < (kw as number); kx++) {
            const y = oy * (stride[0] as number) + ky * (dilation[0] as number) - rows.before;
            const x = ox * (stride[1] as number) + kx * (dilation[1] as number) - columns.before;
            if (y < 0 || y >= h || x < 0 || x >= w) continue;
            for (let ci = 0; ci < c; ci++)
              for (let k = 0; k < depth; k++) {
                const unit = kind === 'conv2d' ? k : ci * depth + k;
                all.push([
                  ((n * h + y) * w + x) * c + ci,
                  ((ky * (kw as number) + kx) * c + ci) * depth + k,
                  ((n * rows.outputs + oy) * columns.outputs + ox) * out + unit,
                ]);
              }
          }
  return { all, postShape: [b, rows.outputs, columns.outputs, out] };
}

const grid: Required<ConvolutionOptions>[] = ([1, 2, [2, 1]] as const).flatMap((strides) =>
  ([1, 2, [1, 3]] as const).flatMap((dilations) =>
    (
      [
        'valid',
        'same',
        1,
        2,
        [
          [0, 1],
          [2, 0],
        ],
      ] as const
    ).map((padding) => ({ strides, dilations, padding })),
  ),
);

describe.each([
  { kind: 'conv2d', kernel: [1, 1, 2, 3] },
  { kind: 'conv2d', kernel: [3, 3, 2, 3] },
  { kind: 'conv2d', kernel: [3, 2, 1, 2] },
  { kind: 'conv2d', kernel: [5, 5, 1, 2] },
  { kind: 'depthwiseConv2d', kernel: [3, 3, 2, 1] },
  { kind: 'depthwiseConv2d', kernel: [2, 3, 3, 2] },
] as const)('$kind $kernel', ({ kind, kernel }) => {
  // Wide enough for a kernel of 5 dilated by 3.
  const preShape = [2, 9, 14, kernel[2]];
  const make = kind === 'conv2d' ? conv2d : depthwiseConv2d;

  it.each(grid)('agrees with float64 loops: %j', (options) => {
    const { all, postShape } = products(kind, preShape, kernel, options);
    const connection = make(kernel, options);
    const [x, w, v] = [numbers(1, preShape), numbers(2, kernel), numbers(3, postShape)];
    const expected = {
      forward: new Float64Array(v.length),
      correlate: new Float64Array(w.length),
      backward: new Float64Array(x.length),
    };
    for (const [i, j, o] of all) {
      expected.forward[o] = (expected.forward[o] as number) + (x[i] as number) * (w[j] as number);
      expected.correlate[j] = (expected.correlate[j] as number) + (x[i] as number) * (v[o] as number);
      expected.backward[i] = (expected.backward[i] as number) + (w[j] as number) * (v[o] as number);
    }
    tf.tidy(() => {
      const [pre, filter, cotangent] = [tensor(1, preShape), tensor(2, kernel), tensor(3, postShape)];
      const actual = {
        forward: connection.forward(pre, filter),
        correlate: connection.correlate(pre, [cotangent])[0] as tf.Tensor,
        backward: connection.backward(cotangent, filter, preShape),
      };
      expect(actual.forward.shape).toEqual(postShape);
      expect(actual.correlate.shape).toEqual(kernel);
      expect(actual.backward.shape).toEqual(preShape);
      for (const map of ['forward', 'correlate', 'backward'] as const) {
        expect(actual[map].dataSync()).toBeAllClose(expected[map], { atol: 2e-5 });
      }
    });
  });
});

const layers: { name: string; connection: Connection; preShape: number[] }[] = [
  { name: 'dense', connection: dense([5, 3]), preShape: [4, 5] },
  { name: 'dense over time', connection: dense([5, 3]), preShape: [2, 3, 5] },
  { name: 'conv1d', connection: conv1d([3, 2, 4], { strides: 2, padding: 'same' }), preShape: [2, 8, 2] },
  { name: 'conv1d, dilated', connection: conv1d([3, 2, 4], { dilations: 2, padding: 1 }), preShape: [2, 8, 2] },
  { name: 'conv1d, causal', connection: conv1d([3, 2, 4], { padding: [[2, 0]] }), preShape: [2, 8, 2] },
  {
    name: 'conv2d',
    connection: conv2d([3, 2, 2, 4], { strides: [2, 1], dilations: 2, padding: 'same' }),
    preShape: [2, 7, 6, 2],
  },
  {
    name: 'depthwise',
    connection: depthwiseConv2d([3, 3, 2, 2], { strides: 2, dilations: [1, 2], padding: 1 }),
    preShape: [2, 7, 8, 2],
  },
];

describe.each(layers)('$name', ({ connection, preShape }) => {
  it('has adjoint maps: ⟨v, x·W⟩ = ⟨correlate(x, v), W⟩ = ⟨backward(v, W), x⟩', () => {
    tf.tidy(() => {
      const [x, w] = [tensor(1, preShape), tensor(2, connection.kernelShape)];
      const y = connection.forward(x, w);
      const v = tensor(3, y.shape);
      const expected = inner(v, y);
      expect(inner(connection.correlate(x, [v])[0] as tf.Tensor, w)).toBeAllClose(expected, { rtol: 1e-4 });
      expect(inner(connection.backward(v, w, preShape), x)).toBeAllClose(expected, { rtol: 1e-4 });
    });
  });

  it('is bilinear', () => {
    tf.tidy(() => {
      const [x, z] = [tensor(1, preShape), tensor(4, preShape)];
      const [w, u] = [tensor(2, connection.kernelShape), tensor(5, connection.kernelShape)];
      const sum = (a: tf.Tensor, b: tf.Tensor) => tf.add(tf.mul(a, 2), b);
      expect(connection.forward(sum(x, z), w)).toBeAllClose(sum(connection.forward(x, w), connection.forward(z, w)), {
        atol: 1e-5,
      });
      expect(connection.forward(x, sum(w, u))).toBeAllClose(sum(connection.forward(x, w), connection.forward(x, u)), {
        atol: 1e-5,
      });
    });
  });

  it('correlates several cotangents at once', () => {
    tf.tidy(() => {
      const x = tensor(1, preShape);
      const { shape } = connection.forward(x, tensor(2, connection.kernelShape));
      const cotangents = [tensor(3, shape), tensor(4, shape), tensor(5, shape)];
      const together = connection.correlate(x, cotangents);
      for (const [i, cotangent] of cotangents.entries()) {
        expect(together[i]).toBeAllClose(connection.correlate(x, [cotangent])[0] as tf.Tensor, { atol: 1e-5 });
      }
    });
  });

  it('reports its sizes', () => {
    const { fanIn, fanOut, taps, groups } = connection.units;
    const weights = connection.kernelShape.reduce((product, size) => product * size, 1);
    expect(fanIn * fanOut).toBe(weights);
    expect(groups).toBe(connection.kind === 'depthwiseConv2d' ? 2 : 1);
    expect(taps * (preShape.at(-1) as number)).toBe(fanIn * groups);
    tf.tidy(() => {
      expect(connection.forward(tensor(1, preShape), tensor(2, connection.kernelShape)).shape.at(-1)).toBe(fanOut);
    });
  });
});

it('gives a 1-D convolution the results of a 2-D one on images of height 1', () => {
  tf.tidy(() => {
    const [x, w] = [tensor(1, [2, 9, 2]), tensor(2, [3, 2, 4])];
    const wide = conv2d([1, 3, 2, 4], { strides: [1, 2], dilations: [1, 2] });
    const expected = wide.forward(tf.reshape(x, [2, 1, 9, 2]), tf.reshape(w, [1, 3, 2, 4]));
    const actual = conv1d([3, 2, 4], { strides: 2, dilations: 2 }).forward(x, w);
    expect(actual).toBeAllClose(tf.squeeze(expected, [1]));
  });
});

it('gives a 1×1 convolution the results of a dense layer at each position', () => {
  tf.tidy(() => {
    const [x, w] = [tensor(1, [2, 3, 3, 4]), tensor(2, [4, 5])];
    const actual = conv2d([1, 1, 4, 5]).forward(x, tf.reshape(w, [1, 1, 4, 5]));
    expect(actual).toBeAllClose(dense([4, 5]).forward(x, w));
  });
});

describe('a connection', () => {
  it.each<[unknown]>([[undefined], [null], [[3]], [[3, 0]], [[3, 1.5]], [[3, 2, 1]], ['32']])(
    'rejects the kernel shape %j',
    (shape) => {
      expect(() => dense(shape as [number, number])).toThrow(expect.objectContaining({ code: 'BAD_VALUE' }));
    },
  );

  it('rejects an unknown option, such as the name that tf.layers uses', () => {
    const unknown = expect.objectContaining({ code: 'UNKNOWN_OPTION' });
    for (const options of [{ stride: 2 }, { dilationRate: 2 }, { dataFormat: 'channelsFirst' }] as object[]) {
      expect(() => conv1d([3, 1, 1], options)).toThrow(unknown);
      expect(() => conv2d([3, 3, 1, 1], options)).toThrow(unknown);
      expect(() => depthwiseConv2d([3, 3, 1, 1], options)).toThrow(unknown);
    }
  });

  it.each<[name: string, options: object, wrong: string]>([
    ['a stride of 0', { strides: 0 }, '0'],
    ['a fractional stride', { strides: [1, 1.5] }, '[1,1.5]'],
    ['three strides', { strides: [1, 1, 1] }, '[1,1,1]'],
    ['a negative dilation', { dilations: -1 }, '-1'],
    ['negative padding', { padding: -1 }, '-1'],
    ['padding of one axis', { padding: [[1, 1]] }, '[[1,1]]'],
    ['a word for padding', { padding: 'full' }, '"full"'],
  ])('rejects %s, with the value in the message', (_, options, wrong) => {
    for (const make of [conv2d, depthwiseConv2d]) {
      const attempt = () => make([3, 3, 1, 1], options);
      expect(attempt).toThrow(ConfigurationError);
      expect(attempt).toThrow(expect.objectContaining({ code: 'BAD_VALUE' }));
      expect(attempt).toThrow(wrong);
    }
  });

  it('strides and padding for two axes on one axis', () => {
    expect(() => conv1d([3, 1, 1], { strides: [1, 2] })).toThrow(expect.objectContaining({ code: 'BAD_VALUE' }));
    const padding = [
      [1, 1],
      [0, 0],
    ] as const;
    expect(() => conv1d([3, 1, 1], { padding })).toThrow(expect.objectContaining({ code: 'BAD_VALUE' }));
  });
});
