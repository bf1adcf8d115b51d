import '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type TriangleOptions, triangle } from './triangle.js';

beforeAll(async () => {
  await tf.setBackend('cpu');
});
beforeEach(() => tf.engine().startScope());
afterEach(() => tf.engine().endScope());

const apply = (layer: ReturnType<typeof triangle>, x: tf.Tensor) => layer.apply(x) as tf.Tensor;

describe.each([0.7, 1, 1.4, 2])('triangle with power %d', (power) => {
  it('returns the part that exceeds the mean of the channels, and the gradient with that mean fixed', () => {
    const [rows, channels] = [12, 5];
    const x = tf.randomNormal([2, 2, 3, channels], 1, 2, 'float32', 5);
    const c = tf.randomNormal(x.shape, 0, 1, 'float32', 6);
    const [xs, cs] = [x.dataSync(), c.dataSync()];
    const expected = new Float64Array(xs.length);
    const slope = new Float64Array(xs.length);
    for (let row = 0; row < rows; row++) {
      const y = [...xs.subarray(row * channels, (row + 1) * channels)];
      const mean = y.reduce((sum, value) => sum + value, 0) / channels;
      for (const [k, value] of y.entries()) {
        if (value <= mean) continue;
        const at = row * channels + k;
        expected[at] = (value - mean) ** power;
        slope[at] = cs[at]! * power * (value - mean) ** (power - 1);
      }
    }
    expect(apply(triangle({ power }), x).dataSync()).toBeAllClose(expected, { rtol: 1e-5, atol: 1e-6 });
    const gradient = tf.grad((t: tf.Tensor) => tf.sum(tf.mul(apply(triangle({ power }), t), c)))(x);
    expect(gradient.dataSync()).toBeAllClose(slope, { rtol: 1e-5, atol: 1e-6 });
  });

  it('has a finite gradient for a unit at the mean or barely above it', () => {
    const x = tf.tensor2d([
      [0, 0, 0],
      [1, 1, 1],
      [-1e-38, 0, 1e-38],
    ]);
    const gradient = tf.grad((t: tf.Tensor) => tf.sum(apply(triangle({ power }), t)))(x);
    expect([...gradient.dataSync()].every(Number.isFinite)).toBe(true);
    expect([...gradient.dataSync().subarray(0, 6)]).toEqual([0, 0, 0, 0, 0, 0]);
  });
});

it.each([
  [{ power: 0 }, 'BAD_VALUE'],
  [{ power: Number.POSITIVE_INFINITY }, 'BAD_VALUE'],
  [{ pow: 1 } as TriangleOptions, 'UNKNOWN_OPTION'],
])('rejects %j', (options, code) => {
  expect(() => triangle(options)).toThrow(expect.objectContaining({ code }));
});
