import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import { metrics } from '@tensorflow/tfjs-layers';
import { beforeAll, expect, it } from 'vitest';
import { crossEntropy } from './cross-entropy.js';

beforeAll(() => tf.setBackend('cpu'));

/** ∂/∂logits of the sum of a loss of softmax(logits). */
const gradient = (loss: (labels: tf.Tensor, outputs: tf.Tensor) => tf.Tensor, logits: number[][], labels: number[][]) =>
  tf.tidy(() =>
    tf
      .grad((x) => tf.sum(loss(tf.tensor2d(labels), tf.softmax(x))))(tf.tensor2d(logits))
      .arraySync(),
  ) as number[][];

const softmax = (row: readonly number[]) => {
  const powers = row.map((each) => Math.exp(each - Math.max(...row)));
  const total = powers.reduce((a, b) => a + b);
  return powers.map((power) => power / total);
};

it('has the gradient softmax − label, also for an output that is confidently wrong', () => {
  const logits = [
    [0.3, -1, 2],
    [0, 60, 55],
    [80, 0, 1],
  ];
  const labels = [
    [0, 1, 0],
    [1, 0, 0],
    [0, 0, 1],
  ];
  const expected = logits.map((row, i) => softmax(row).map((p, k) => p - (labels[i]?.[k] as number)));
  expect(gradient(crossEntropy(), logits, labels)).toBeAllClose(expected, { rtol: 1e-5, atol: 1e-6 });
  // TensorFlow.js has no gradient there.
  const stock = (t: tf.Tensor, p: tf.Tensor) => metrics.categoricalCrossentropy(t, p);
  expect(gradient(stock, logits, labels)[1]?.every((each) => each === 0)).toBe(true);
});

it('is finite, with a finite gradient, if a probability underflows to 0', () => {
  const logits = [[0, 1000, -1000]];
  const labels = [[0, 0, 1]];
  const loss = tf.tidy(() => crossEntropy()(tf.tensor2d(labels), tf.softmax(tf.tensor2d(logits))).dataSync()[0]);
  expect(loss).toBeCloseTo(37 * Math.LN10, 3);
  expect(gradient(crossEntropy(), logits, labels)[0]?.every(Number.isFinite)).toBe(true);
});
