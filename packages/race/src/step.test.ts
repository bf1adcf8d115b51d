import '@tensorflow/tfjs-backend-cpu';
import { chain, presynaptic, scaleBy, sgd, threeFactor } from '@ghl/core';
import { type PerActivityModulator, specOf } from '@ghl/core/plugin';
import { plasticOptimizer } from '@ghl/learner';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { expect, it } from 'vitest';
import { trainingStep } from './step.js';

it('passes a modulator the images, their labels and the reward of each', async () => {
  await tf.setBackend('cpu');
  const seen: Record<string, number[]> = {};
  const observer: PerActivityModulator<'input' | 'target' | 'reward'> = {
    spec: specOf('observer'),
    actsOn: 'activity',
    reads: ['input', 'target', 'reward'],
    init: () => ({}),
    factor(signals, { post }, state) {
      for (const [name, signal] of Object.entries(signals)) seen[name] = Array.from(signal.dataSync());
      return { factor: tf.zerosLike(post), state };
    },
  };
  const model = tfl.sequential({
    layers: [
      tfl.layers.dense({ name: 'hidden', units: 3, inputShape: [2] }),
      tfl.layers.dense({ units: 2, activation: 'softmax' }),
    ],
  });
  const optimizer = plasticOptimizer(model, {
    'hidden/kernel': chain(threeFactor(presynaptic(), observer), scaleBy(0.1)),
    '*': sgd(0.1),
  });
  const xs = tf.tensor2d([1, 2, 3, 4], [2, 2]);
  const ys = tf.tensor2d([0, 1, 1, 0], [2, 2]);
  const { numTensors } = tf.memory();
  const { loss, correct } = trainingStep(model, optimizer, xs, ys);
  expect(seen.input).toEqual([1, 2, 3, 4]);
  expect(seen.target).toEqual([0, 1, 1, 0]);
  expect(seen.reward?.reduce((a, b) => a + b)).toBe(correct.dataSync()[0]);
  tf.dispose([loss, correct]);
  expect(tf.memory().numTensors).toBe(numTensors);
  tf.dispose([xs, ys]);
  optimizer.dispose();
  model.dispose();
});
