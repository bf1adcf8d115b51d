import '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, expect, it } from 'vitest';
import { lossOf } from './loss.js';

beforeAll(() => tf.setBackend('cpu'));

it.each([
  [undefined, -Math.log(0.75)],
  ['categoricalCrossentropy', -Math.log(0.75)],
  ['meanSquaredError', 0.25 ** 2],
  ['powerLoss', 0.25 ** 6 + 1.25 ** 6],
])('computes the loss %s of each example', (name, expected) => {
  const loss = tf.tidy(() => lossOf(name)(tf.tensor2d([[1, 0]]), tf.tensor2d([[0.75, 0.25]])).arraySync());
  expect(loss).toBeAllClose([expected], { rtol: 1e-5 });
});

it('rejects an unknown name, with the nearest known one', () => {
  expect(() => lossOf('powerloss')).toThrow(expect.objectContaining({ code: 'UNKNOWN_LOSS' }));
});
