import { chain, gradientDescent, maxAbs, scaleBy, threeFactor } from '@ghl/core';
import { plasticOptimizer } from '@ghl/learner';
import { sign } from '@ghl/modulator-sign';
import { swta } from '@ghl/rule-swta';
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import { trainingStep } from '@ghl/race';
import { layers, sequential } from '@tensorflow/tfjs-layers';
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { type KernelTime, timeKernels } from './profile.js';

beforeAll(() => tf.setBackend('cpu'));

/** A clock that moves only on request. */
let now = 0;
afterEach(() => {
  vi.restoreAllMocks();
});

function stopClock(): void {
  now = 0;
  vi.spyOn(performance, 'now').mockImplementation(() => now);
}

const [BATCH, STEPS] = [3, 2];

function training() {
  const model = sequential({
    layers: [
      layers.conv2d({ name: 'conv', inputShape: [6, 6, 2], filters: 5, kernelSize: 3, useBias: false }),
      layers.reLU({ name: 'relu' }),
      layers.flatten({ name: 'flatten' }),
      layers.dense({ name: 'out', units: 4, activation: 'softmax' }),
    ],
  });
  const rest = chain(gradientDescent(), scaleBy(0.1));
  const optimizer = plasticOptimizer(model, {
    conv: chain(threeFactor(maxAbs(swta()), sign()), scaleBy(0.1)),
    '*': rest,
  });
  const step = () => {
    const [xs, ys] = [tf.ones([BATCH, 6, 6, 2]), tf.oneHot([0, 1, 2], 4) as tf.Tensor2D];
    const { loss, correct } = trainingStep(model, optimizer, xs, ys);
    const value = loss.dataSync()[0];
    tf.dispose([xs, ys, loss, correct]);
    return value;
  };
  const dispose = () => {
    optimizer.dispose();
    model.dispose();
  };
  return { model, step, dispose };
}

const places = (times: readonly KernelTime[], kernel: string) =>
  times.filter((time) => time.kernel === kernel).map(({ layer, pass, calls }) => ({ layer, pass, calls }));

describe('a profile', () => {
  it('attributes each kernel to a layer, and counts its bytes', async () => {
    const { model, step, dispose } = training();
    const times = await timeKernels(model, async () => {
      for (let i = 0; i < STEPS; i++) step();
    });
    expect(places(times, 'Conv2D')).toEqual([{ layer: 'conv', pass: 'forward', calls: STEPS }]);
    expect(places(times, 'Conv2DBackpropFilter')).toEqual([{ layer: 'conv', pass: 'backward', calls: STEPS }]);
    expect(places(times, 'Relu')).toEqual([{ layer: 'relu', pass: 'forward', calls: STEPS }]);
    const softmax = places(times, 'Softmax');
    expect(softmax).toContainEqual({ layer: 'out', pass: 'forward', calls: STEPS });
    expect(softmax).toContainEqual({ layer: 'conv', pass: 'update', calls: STEPS });
    expect(places(times, 'Abs')).toContainEqual(expect.objectContaining({ layer: 'conv', pass: 'update' }));
    // The loss belongs to no layer.
    expect(places(times, 'Log')).toEqual([{ layer: null, pass: 'forward', calls: STEPS }]);
    const { bytes } = times.find(({ kernel }) => kernel === 'Conv2D')!;
    expect(bytes).toBe(STEPS * 4 * (BATCH * 6 * 6 * 2 + 3 * 3 * 2 * 5 + BATCH * 4 * 4 * 5));
    dispose();
  });

  it('changes no result, and restores the kernels even if the body throws', async () => {
    const [watched, plain] = [training(), training()];
    watched.model.setWeights(plain.model.getWeights());
    const kernels = tf.getKernelsForBackend('cpu');
    const losses: unknown[] = [];
    await timeKernels(watched.model, async () => {
      losses.push(watched.step(), watched.step());
    });
    expect(losses).toEqual([plain.step(), plain.step()]);
    await expect(timeKernels(watched.model, () => Promise.reject(new Error('stop')))).rejects.toThrow('stop');
    expect(new Set(tf.getKernelsForBackend('cpu'))).toEqual(new Set(kernels));
    for (const { kernelName, kernelFunc } of kernels) {
      expect(tf.getKernel(kernelName, 'cpu').kernelFunc).toBe(kernelFunc);
    }
    expect(watched.step()).toBe(plain.step());
    for (const { dispose } of [watched, plain]) dispose();
  });

  it('counts the time of a nested kernel once', async () => {
    const { model, dispose } = training();
    const identity = (ms: number): tf.KernelFunc => {
      return ({ inputs }) => {
        now += ms;
        return tf.engine().runKernel('Identity', { x: inputs.x as tf.Tensor }) as tf.Tensor;
      };
    };
    const outer: tf.KernelFunc = (call) => {
      now += 3;
      const inner = tf.engine().runKernel('Inner', call.inputs as { x: tf.Tensor }) as tf.Tensor;
      now += 4;
      return inner;
    };
    tf.registerKernel({ kernelName: 'Inner', backendName: 'cpu', kernelFunc: identity(20) });
    tf.registerKernel({ kernelName: 'Outer', backendName: 'cpu', kernelFunc: outer });
    try {
      stopClock();
      const times = await timeKernels(model, async () => {
        tf.tidy(() => void tf.engine().runKernel('Outer', { x: tf.scalar(1) }));
      });
      const ms = Object.fromEntries(times.map((time) => [time.kernel, time.ms]));
      expect(ms).toMatchObject({ Outer: 7, Inner: 20, Identity: 0 });
    } finally {
      for (const name of ['Inner', 'Outer']) tf.unregisterKernel(name, 'cpu');
      dispose();
    }
  });
});
