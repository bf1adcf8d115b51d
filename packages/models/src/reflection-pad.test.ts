import '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import { layers, sequential } from '@tensorflow/tfjs-layers';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type ReflectionPad2dOptions, reflectionPad2d } from './reflection-pad.js';

beforeAll(async () => {
  await tf.setBackend('cpu');
});
beforeEach(() => tf.engine().startScope());
afterEach(() => {
  tf.engine().endScope();
  tf.disposeVariables();
});

const apply = (padding: number, x: tf.Tensor) => reflectionPad2d({ padding }).apply(x) as tf.Tensor;

/** The place that a padded row or column mirrors. */
const mirrored = (at: number, size: number) => (at < 0 ? -at : at >= size ? 2 * (size - 1) - at : at);

/** The padded images in float64. */
function oracle(xs: ArrayLike<number>, [batch, h, w, c]: readonly [number, number, number, number], p: number) {
  const padded: number[] = [];
  for (let b = 0; b < batch; b++) {
    for (let i = -p; i < h + p; i++) {
      for (let j = -p; j < w + p; j++) {
        for (let k = 0; k < c; k++) padded.push(xs[((b * h + mirrored(i, h)) * w + mirrored(j, w)) * c + k]!);
      }
    }
  }
  return padded;
}

it('mirrors rows and columns without the edge', () => {
  const row = apply(2, tf.tensor4d([1, 2, 3, 4, 5, 6, 7, 8, 9], [1, 3, 3, 1]));
  expect((tf.reshape(row, [7, 7]).arraySync() as number[][])[0]).toEqual([9, 8, 7, 8, 9, 8, 7]);
});

it('sums the gradient over all copies of a pixel, which tf.mirrorPad does not', () => {
  // The loss Σ i·x̃ᵢ of a padded row x̃ = 2 1 2 3 4 3, i from 1: pixel 1 is x̃₂; pixel 2 is x̃₁ and x̃₃; and so on.
  const x = tf.reshape(tf.tensor1d([1, 2, 3, 4, 1, 2, 3, 4]), [1, 2, 4, 1]) as tf.Tensor4D;
  const weights = tf.reshape(tf.tile(tf.range(1, 7), [4]), [1, 4, 6, 1]);
  const loss = (pad: (t: tf.Tensor) => tf.Tensor) => (t: tf.Tensor) => tf.sum(tf.mul(pad(t), weights));
  const ours = tf.grad(loss((t) => apply(1, t)))(x);
  // Each of the two rows is there twice.
  expect([...ours.dataSync()]).toEqual([4, 8, 20, 10, 4, 8, 20, 10]);
  const paddings: [number, number][] = [[0, 0], [1, 1], [1, 1], [0, 0]]; // biome-ignore format: one line
  const stock = tf.grad(loss((t) => tf.mirrorPad(t as tf.Tensor4D, paddings, 'reflect')))(x);
  expect([...stock.dataSync()]).toEqual([2, 3, 4, 5, 2, 3, 4, 5]);
});

describe.each([
  { p: 1, shape: [2, 4, 5, 3] },
  { p: 2, shape: [1, 3, 4, 2] },
  { p: 1, shape: [2, 2, 2, 1] },
  { p: 3, shape: [1, 4, 9, 1] },
] as const)('padding $p of $shape', ({ p, shape }) => {
  it('has the values of a float64 oracle', () => {
    const x = tf.randomNormal([...shape], 0, 1, 'float32', 1);
    expect([...apply(p, x).dataSync()]).toEqual(oracle(x.dataSync(), shape, p));
  });

  it('has the gradient of finite differences', () => {
    const x = tf.randomNormal([...shape], 0, 1, 'float32', 2);
    const cotangent = tf.randomNormal([shape[0], shape[1] + 2 * p, shape[2] + 2 * p, shape[3]], 0, 1, 'float32', 3);
    const gradient = tf.grad((t: tf.Tensor) => tf.sum(tf.mul(apply(p, t), cotangent)))(x);
    const [xs, cs] = [Float64Array.from(x.dataSync()), cotangent.dataSync()];
    const loss = () => oracle(xs, shape, p).reduce((sum, value, i) => sum + value * cs[i]!, 0);
    const expected = Array.from(xs, (value, i) => {
      xs[i] = value + 0.5; // the loss is linear
      const above = loss();
      xs[i] = value - 0.5;
      const below = loss();
      xs[i] = value;
      return above - below;
    });
    expect(gradient.dataSync()).toBeAllClose(expected, { rtol: 1e-5, atol: 1e-5 });
  });
});

it('is one kernel forward, and leaves no tensor behind in training', async () => {
  const x = tf.randomNormal([1, 4, 4, 2], 0, 1, 'float32', 1);
  const layer = reflectionPad2d({ padding: 1 });
  const { kernels } = await tf.profile(() => layer.apply(x) as tf.Tensor);
  expect(kernels.map(({ name }) => name).filter((name) => name !== 'unnamed scope')).toEqual(['MirrorPad']);
  const before = tf.memory().numTensors;
  tf.tidy(() => tf.grad((t: tf.Tensor) => tf.sum(apply(1, t)))(x)).dispose();
  expect(tf.memory().numTensors).toBe(before);
});

it('has the shape of its output before it runs, and in a model of unknown image size', () => {
  const model = sequential({ layers: [reflectionPad2d({ padding: 2, inputShape: [8, 6, 3] })] });
  expect(model.outputShape).toEqual([null, 12, 10, 3]);
  const open = sequential({
    layers: [layers.inputLayer({ inputShape: [null, null, 3] }), reflectionPad2d({ padding: 2 })],
  });
  expect(open.outputShape).toEqual([null, null, null, 3]);
  expect(() => open.predict(tf.ones([1, 2, 9, 3]))).toThrow(expect.objectContaining({ code: 'INPUT_TOO_SMALL' }));
});

it.each([
  [{ padding: 0 }, 'BAD_VALUE'],
  [{ padding: 1.5 }, 'BAD_VALUE'],
  [{}, 'BAD_VALUE'],
  [{ padding: 1, mode: 'reflect' }, 'UNKNOWN_OPTION'],
])('rejects %j', (options, code) => {
  expect(() => reflectionPad2d(options as ReflectionPad2dOptions)).toThrow(expect.objectContaining({ code }));
});

it('rejects an image that is not larger than the padding', () => {
  expect(() => sequential({ layers: [reflectionPad2d({ padding: 4, inputShape: [8, 4, 3] })] })).toThrow(
    expect.objectContaining({ code: 'INPUT_TOO_SMALL', message: expect.stringContaining('8×4') }),
  );
});
