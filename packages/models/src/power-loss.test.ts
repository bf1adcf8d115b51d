import '@tensorflow/tfjs-backend-cpu';
import '@tensorflow/tfjs-layers';
import * as tf from '@tensorflow/tfjs-core';
import { afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { type PowerLossOptions, powerLoss } from './power-loss.js';

beforeAll(async () => {
  await tf.setBackend('cpu');
});
beforeEach(() => tf.engine().startScope());
afterEach(() => tf.engine().endScope());

const labels = () => tf.tensor2d([[1, 0, 0], [0, 0, 1]]); // biome-ignore format: one line
const outputs = () => tf.tensor2d([[0.5, -1, 0.25], [-0.5, 0.75, 1]]); // biome-ignore format: one line

it('sums the powers of the distances to 1 and −1 over the classes of an example', () => {
  expect(powerLoss({ power: 2 })(labels(), outputs()).arraySync()).toEqual([0.25 + 1.5625, 0.25 + 3.0625]);
});

it('has the gradient m·abs(c − t)^(m − 1)·sign(c − t), and 0 at the target', () => {
  const gradient = tf.grad((c: tf.Tensor) => tf.sum(powerLoss()(labels(), c)))(outputs());
  const slope = (distance: number) => 6 * Math.abs(distance) ** 5 * Math.sign(distance);
  expect(gradient.dataSync()).toBeAllClose([-0.5, 0, 1.25, 0.5, 1.75, 0].map(slope), { rtol: 1e-4, atol: 1e-6 });
});

it.each([
  [{ power: 0 }, 'BAD_VALUE'],
  [{ m: 6 } as PowerLossOptions, 'UNKNOWN_OPTION'],
])('rejects %j', (options, code) => {
  expect(() => powerLoss(options)).toThrow(expect.objectContaining({ code }));
});
