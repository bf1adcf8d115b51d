import '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import { afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { type TopFractionOptions, topFraction } from './top-fraction.js';

beforeAll(async () => {
  await tf.setBackend('cpu');
});
beforeEach(() => tf.engine().startScope());
afterEach(() => tf.engine().endScope());

const apply = (fraction: number, x: tf.Tensor) => topFraction({ fraction }).apply(x) as tf.Tensor;

it('keeps 52 of 256 positions of each channel of each image for a fraction of 0.2', () => {
  const x = tf.randomNormal([3, 16, 16, 4], 5, 1, 'float32', 1);
  const kept = tf.sum(tf.cast(tf.notEqual(apply(0.2, x), 0), 'float32'), [1, 2]);
  expect([...kept.dataSync()]).toEqual(Array(12).fill(52));
});

it.each([0.05, 0.3, 0.8])('keeps what a sort in float64 keeps for a fraction of %d', (fraction) => {
  const [b, n, c] = [2, 15, 3];
  const x = tf.randomNormal([b, 3, 5, c], 0, 1, 'float32', 2);
  const xs = x.dataSync();
  const expected = Array.from(xs);
  for (let i = 0; i < b; i++) {
    for (let k = 0; k < c; k++) {
      const at = Array.from({ length: n }, (_, p) => (i * n + p) * c + k);
      const threshold = at.map((each) => xs[each]!).sort((a, z) => a - z)[Math.floor((1 - fraction) * n) - 1]!;
      for (const each of at) if (xs[each]! <= threshold) expected[each] = 0;
    }
  }
  expect([...apply(fraction, x).dataSync()].map((value) => value + 0)).toEqual(expected.map((value) => value + 0));
});

it('suppresses values that equal the threshold, as those of a silent channel', () => {
  expect([...apply(0.5, tf.tensor4d([2, 2, 2, 5], [1, 2, 2, 1])).dataSync()]).toEqual([0, 0, 0, 5]);
  expect([...apply(0.2, tf.zeros([1, 2, 2, 1])).dataSync()]).toEqual([0, 0, 0, 0]);
});

it('passes everything for a fraction of 1', () => {
  const x = tf.randomNormal([1, 2, 2, 2], 0, 1, 'float32', 3);
  expect([...apply(1, x).dataSync()]).toEqual([...x.dataSync()]);
});

it('passes the gradient where it passes the value', () => {
  const x = tf.tensor4d([4, 1, 3, 2], [1, 2, 2, 1]);
  const gradient = tf.grad((t: tf.Tensor) => tf.sum(tf.mul(apply(0.5, t), tf.tensor4d([5, 6, 7, 8], [1, 2, 2, 1]))))(x);
  expect([...gradient.dataSync()]).toEqual([5, 0, 7, 0]);
});

it.each([
  [{ fraction: 0 }, 'BAD_VALUE'],
  [{ fraction: 1.1 }, 'BAD_VALUE'],
  [{ share: 0.2 } as TopFractionOptions, 'UNKNOWN_OPTION'],
])('rejects %j', (options, code) => {
  expect(() => topFraction(options)).toThrow(expect.objectContaining({ code }));
});
