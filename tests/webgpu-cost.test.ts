/**
 * The cost of a step of GHL on WebGPU, relative to one of back-propagation: the number of kernels, and of bytes that
 * they bind, for DeepHebb. The test counts and does not compute: a software GPU is too slow, and its times do not carry
 * over to other GPUs.
 */
import '../tools/vitest/software-gpu.js';
import { activate, deactivate } from '@ghl/backend-webgpu';
import { plasticOptimizer } from '@ghl/learner';
import { deepHebb, networks } from '@ghl/models';
import { backprop, ghl, type OnePhaseRecipe } from '@ghl/recipes';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';

beforeAll(async () => {
  await activate();
});
afterAll(deactivate);

interface Bound {
  readonly shape: readonly number[];
}

/** Kernels and bytes of one step. Each kernel is compiled and gets its memory, but does not run. */
function cost(assign: OnePhaseRecipe['assign']): { readonly kernels: number; readonly bytes: number } {
  const backend = tf.backend() as unknown as {
    recordAndSubmit(program: object, output: Bound, inputs: readonly Bound[]): void;
  };
  let [kernels, bytes] = [0, 0];
  const record = vi.spyOn(backend, 'recordAndSubmit').mockImplementation((_, output, inputs) => {
    kernels++;
    for (const { shape } of [output, ...inputs]) bytes += 4 * tf.util.sizeFromShape([...shape]);
  });
  const before = tf.memory().numTensors;
  const model = deepHebb();
  const optimizer = plasticOptimizer(model, assign({ ...networks.deephebb.constants, steps: 1 }));
  tf.tidy(() => {
    const x = tf.zeros([64, 32, 32, 3]);
    const y = tf.oneHot(tf.zeros([64], 'int32'), 10);
    const loss = () => {
      const p = model.apply(x, { training: true }) as tf.Tensor;
      return tf.neg(tf.mean(tf.sum(tf.mul(y, tf.log(p)), 1))) as tf.Scalar;
    };
    [kernels, bytes] = [0, 0];
    optimizer.minimize(loss);
  });
  record.mockRestore();
  optimizer.dispose();
  model.dispose();
  expect(tf.memory().numTensors).toBeLessThanOrEqual(before);
  return { kernels, bytes };
}

it('costs at most 1.45 times as many kernels and bytes as back-propagation', () => {
  const [ours, theirs] = [cost(ghl), cost(backprop)];
  expect(theirs.kernels).toBeGreaterThan(50);
  expect(ours.kernels / theirs.kernels).toBeLessThanOrEqual(1.45);
  expect(ours.bytes / theirs.bytes).toBeLessThanOrEqual(1.45);
});
