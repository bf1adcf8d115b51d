import { COMPETITION } from '@ghl/core/backend';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { activate, deactivate } from './index.js';
import { verifySubgroups } from './verify-subgroups.js';

beforeAll(async () => {
  await activate();
});
afterAll(deactivate);

it('accepts a correct competition, and leaks no tensor', async () => {
  const before = tf.memory().numTensors;
  expect(await verifySubgroups()).toBe(true);
  expect(tf.memory().numTensors).toBe(before);
});

it('rejects a competition whose sums are not over the row', async () => {
  const kernel = tf.getKernel(COMPETITION, 'webgpu');
  const wrong: tf.KernelFunc = ({ inputs: { x } }) => [
    tf.tidy(() => tf.softmax(tf.mul(x as tf.Tensor, 1.001))),
    tf.sum(x as tf.Tensor2D, 0),
  ];
  tf.unregisterKernel(COMPETITION, 'webgpu');
  tf.registerKernel({ ...kernel, kernelFunc: wrong });
  try {
    expect(await verifySubgroups()).toBe(false);
  } finally {
    tf.unregisterKernel(COMPETITION, 'webgpu');
    tf.registerKernel(kernel);
  }
});
