import '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-layers';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type LayerNormOptions, layerNorm } from './layer-norm.js';

beforeAll(async () => {
  await tf.setBackend('cpu');
});
beforeEach(() => tf.engine().startScope());
afterEach(() => tf.engine().endScope());

/** Each row of `channels` numbers, normalised in float64. */
function oracle(xs: ArrayLike<number>, channels: number, epsilon: number): number[] {
  return Array.from({ length: xs.length / channels }, (_, row) => row).flatMap((row) => {
    const x = Array.from({ length: channels }, (_, k) => xs[row * channels + k]!);
    const mean = x.reduce((sum, each) => sum + each, 0) / channels;
    const variance = x.reduce((sum, each) => sum + (each - mean) ** 2, 0) / channels;
    return x.map((each) => (each - mean) / Math.sqrt(variance + epsilon));
  });
}

describe.each([[[2, 3, 2, 5]], [[4, 7]]])('layerNorm on shape %j', (shape) => {
  it.each([1e-6, 0.1])('has the value and the gradient of a float64 oracle with ε = %d', (epsilon) => {
    const x = tf.randomNormal(shape, 2, 3, 'float32', 1);
    const c = tf.randomNormal(shape, 0, 1, 'float32', 2);
    const [xs, cs] = [Float64Array.from(x.dataSync()), c.dataSync()];
    const apply = (t: tf.Tensor) => layerNorm({ epsilon }).apply(t) as tf.Tensor;
    const channels = shape.at(-1)!;
    expect(apply(x).dataSync()).toBeAllClose(oracle(xs, channels, epsilon), { rtol: 1e-5, atol: 1e-5 });
    const loss = () => oracle(xs, channels, epsilon).reduce((sum, each, i) => sum + each * cs[i]!, 0);
    const slope = Array.from(xs, (value, i) => {
      const [up, down] = [1e-5, -1e-5].map((step) => {
        xs[i] = value + step;
        return loss();
      });
      xs[i] = value;
      return (up! - down!) / 2e-5;
    });
    const gradient = tf.grad((t: tf.Tensor) => tf.sum(tf.mul(apply(t), c)))(x);
    expect(gradient.dataSync()).toBeAllClose(slope, { rtol: 1e-4, atol: 1e-4 });
  });
});

it.each([
  [{ epsilon: 0 }, 'BAD_VALUE'],
  [{ center: true } as LayerNormOptions, 'UNKNOWN_OPTION'],
])('rejects %j', (options, code) => {
  expect(() => layerNorm(options)).toThrow(expect.objectContaining({ code }));
});
