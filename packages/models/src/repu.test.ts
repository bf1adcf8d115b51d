import '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type RepuOptions, repu } from './repu.js';

beforeAll(async () => {
  await tf.setBackend('cpu');
});
beforeEach(() => tf.engine().startScope());
afterEach(() => tf.engine().endScope());

const apply = (power: number, x: tf.Tensor) => repu({ power }).apply(x) as tf.Tensor;

it('raises the positive part to the power', () => {
  expect(apply(3, tf.tensor1d([-2, 0, 1, 2])).arraySync()).toEqual([0, 0, 1, 8]);
  expect(apply(1, tf.tensor1d([-2, 0, 1, 2])).arraySync()).toEqual([0, 0, 1, 2]);
});

describe.each([0.7, 1, 1.4, 4.5])('repu with power %d', (power) => {
  it('has the value and the gradient of a float64 oracle', () => {
    const x = tf.randomNormal([3, 2, 7], 0.3, 1, 'float32', 5);
    const c = tf.randomNormal(x.shape, 0, 1, 'float32', 6);
    const [xs, cs] = [[...x.dataSync()], c.dataSync()];
    const expected = xs.map((y) => Math.max(0, y) ** power);
    const slope = xs.map((y, i) => (y > 0 ? cs[i]! * power * y ** (power - 1) : 0));
    expect(apply(power, x).dataSync()).toBeAllClose(expected, { rtol: 1e-5, atol: 1e-6 });
    const gradient = tf.grad((t: tf.Tensor) => tf.sum(tf.mul(apply(power, t), c)))(x);
    expect(gradient.dataSync()).toBeAllClose(slope, { rtol: 1e-5, atol: 1e-6 });
  });

  it('has a finite gradient at and near 0', () => {
    const gradient = tf.grad((t: tf.Tensor) => tf.sum(apply(power, t)))(tf.tensor1d([0, -1e-38, 1e-38]));
    expect([...gradient.dataSync()].every(Number.isFinite)).toBe(true);
    expect([...gradient.dataSync().subarray(0, 2)]).toEqual([0, 0]);
  });
});

it.each([
  [{ power: 0 }, 'BAD_VALUE'],
  [{ power: Number.NaN }, 'BAD_VALUE'],
  [{ n: 1 } as RepuOptions, 'UNKNOWN_OPTION'],
])('rejects %j', (options, code) => {
  expect(() => repu(options)).toThrow(expect.objectContaining({ code }));
});
