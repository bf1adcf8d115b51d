/** Training on one device. The last tests lose it. */
import '../tools/vitest/software-gpu.js';
import { activate, deactivate } from '@ghl/backend-webgpu';
import { chain, gradientDescent, maxAbs, scaleBy, threeFactor } from '@ghl/core';
import { plasticOptimizer } from '@ghl/learner';
import { sign } from '@ghl/modulator-sign';
import { swta } from '@ghl/rule-swta';
import type { WebGPUBackend } from '@tensorflow/tfjs-backend-webgpu';
import * as tf from '@tensorflow/tfjs-core';
import { layers, type Sequential, sequential } from '@tensorflow/tfjs-layers';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';

beforeAll(async () => {
  await activate();
});
beforeEach(() => tf.engine().startScope());
afterEach(() => {
  tf.engine().endScope();
  vi.restoreAllMocks();
});
afterAll(deactivate);

const code = (name: string) => expect.objectContaining({ code: name, help: expect.any(String) });
const gpu = () => tf.backend() as WebGPUBackend;

function net(): Sequential {
  return sequential({
    layers: [
      layers.conv2d({ name: 'conv', inputShape: [8, 8, 3], filters: 8, kernelSize: 3, activation: 'relu' }),
      layers.flatten(),
      layers.dense({ name: 'out', units: 4, activation: 'softmax' }),
    ],
  });
}

const ghl = (model: Sequential) =>
  plasticOptimizer(model, {
    conv: chain(threeFactor(maxAbs(swta()), sign()), scaleBy(1e-2)),
    '*': chain(gradientDescent(), scaleBy(1e-2)),
  });

const batch = (): [tf.Tensor, tf.Tensor] => [
  tf.randomNormal([8, 8, 8, 3], 0, 1, 'float32', 2),
  tf.oneHot(tf.tensor1d([0, 1, 2, 3, 0, 1, 2, 3], 'int32'), 4),
];

describe('a step', () => {
  it('reads back only the loss on request, and the flags of one step at a time', async () => {
    const model = net();
    const optimizer = ghl(model);
    const [x, y] = batch();
    const loss = () => {
      const p = model.apply(x, { training: true }) as tf.Tensor;
      return tf.neg(tf.mean(tf.sum(tf.mul(y, tf.log(p)), 1))) as tf.Scalar;
    };
    optimizer.minimize(loss);
    await optimizer.checkFinite();
    const read = vi.spyOn(gpu(), 'read');
    const readSync = vi.spyOn(gpu(), 'readSync');
    const mapped = vi.spyOn(gpu(), 'getBufferData');
    for (let step = 0; step < 5; step++) optimizer.minimize(loss);
    // The flags of the first of the five; no step waits for them.
    expect(mapped).toHaveBeenCalledTimes(1);
    expect(read).toHaveBeenCalledTimes(1);
    expect(readSync).not.toHaveBeenCalled();
    await optimizer.checkFinite();
    optimizer.dispose();
    model.dispose();
  });

  it('needs no synchronous read in fit and its validation', async () => {
    const model = net();
    const optimizer = ghl(model);
    model.compile({ optimizer, loss: 'categoricalCrossentropy', metrics: ['accuracy'] });
    const [x, y] = batch();
    const { history } = await model.fit(x, y, { epochs: 2, batchSize: 4, validationData: [x, y], verbose: 0 });
    expect(history.val_acc).toHaveLength(2);
    expect(history.loss!.every((loss) => Number.isFinite(loss as number))).toBe(true);
    expect(() => (model.getWeights()[0] as tf.Tensor).dataSync()).toThrow(code('NO_SYNC_READ'));
    optimizer.dispose();
    model.dispose();
  });

  it.each([Number.NaN, Number.POSITIVE_INFINITY])('rejects %s, and moves no weight', async (bad) => {
    const model = net();
    const optimizer = ghl(model);
    model.compile({ optimizer, loss: 'categoricalCrossentropy' });
    const [x, y] = batch();
    const spoilt = tf.where(tf.greater(x, 2), bad, x);
    const before = await Promise.all(model.getWeights().map((weight) => weight.data()));
    await expect(model.fit(spoilt, y, { epochs: 1, batchSize: 8, verbose: 0 })).rejects.toEqual(
      code('NON_FINITE_STEP'),
    );
    expect(await Promise.all(model.getWeights().map((weight) => weight.data()))).toEqual(before);
    optimizer.dispose();
    model.dispose();
  });

  it('leaks no tensor and no buffer', async () => {
    const model = net();
    const optimizer = ghl(model);
    model.compile({ optimizer, loss: 'categoricalCrossentropy' });
    const [x, y] = batch();
    const train = async (steps: number) => {
      for (let step = 0; step < steps; step++) await model.trainOnBatch(x, y);
      await optimizer.checkFinite();
    };
    const held = () => [tf.memory().numTensors, gpu().numDataIds(), gpu().bufferManager.numBytesAllocated];
    await train(5);
    const before = held();
    await train(20);
    expect(held()).toEqual(before);
    optimizer.dispose();
    model.dispose();
  });
});

describe('a lost device', () => {
  it('rejects the current fit and all later calls, until the backend is activated again', async () => {
    const model = net();
    const optimizer = ghl(model);
    model.compile({ optimizer, loss: 'categoricalCrossentropy' });
    const [x, y] = batch();
    const { device } = gpu();
    const fit = model.fit(x, y, {
      epochs: 50,
      batchSize: 4,
      verbose: 0,
      callbacks: { onBatchEnd: async (_, logs) => void (logs !== undefined && device.destroy()) },
    });
    await expect(fit).rejects.toEqual(code('DEVICE_LOST'));
    expect(() => tf.square(x)).toThrow(code('DEVICE_LOST'));
    await expect(x.data()).rejects.toEqual(code('DEVICE_LOST'));
    expect(() => tf.tensor1d([1])).toThrow(code('DEVICE_LOST'));
    await expect(activate()).rejects.toEqual(code('DEVICE_LOST'));
    optimizer.dispose();
    model.dispose();
    await deactivate();
    await activate();
    expect((await tf.sum(tf.ones([40, 40])).data())[0]).toBe(1600);
  });

  it('rejects a pending read', async () => {
    const read = tf.square(tf.randomNormal([40, 40])).data();
    gpu().device.destroy();
    await expect(read).rejects.toEqual(code('DEVICE_LOST'));
  });
});
