import { chain, cosine, decayWeights, gradient, maxAbs, scaleBy, threeFactor } from '@ghl/core';
import { sign } from '@ghl/modulator-sign';
import { swta } from '@ghl/rule-swta';
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import * as tfl from '@tensorflow/tfjs-layers';
import { beforeAll, describe, expect, it } from 'vitest';
import { plasticity } from './index.js';

beforeAll(async () => {
  await tf.setBackend('cpu');
});

function smallNet() {
  return tfl.sequential({
    layers: [
      tfl.layers.conv2d({
        name: 'conv1',
        filters: 4,
        kernelSize: 3,
        inputShape: [6, 6, 2],
        activation: 'relu',
        useBias: true,
      }),
      tfl.layers.flatten(),
      tfl.layers.dense({ name: 'out', units: 3, activation: 'softmax' }),
    ],
  });
}

describe('minimize', () => {
  it('trains under fit', async () => {
    const model = smallNet();
    const rest = chain(gradient(), scaleBy(0.1));
    const optimizer = plasticity(model, {
      conv1: chain(threeFactor(maxAbs(swta()), sign()), decayWeights(1e-3), scaleBy(cosine(1e-2, 100))),
      '*': rest,
    });
    model.compile({ optimizer, loss: 'categoricalCrossentropy' });
    const xs = tf.randomNormal([32, 6, 6, 2], 0, 1, 'float32', 1);
    const ys = tf.tidy(() => tf.oneHot(tf.cast(tf.mod(tf.range(0, 32), 3), 'int32') as tf.Tensor1D, 3));
    const before = tf.memory().numTensors;
    const history = await model.fit(xs, ys, { epochs: 15, batchSize: 16 });
    expect(tf.memory().numTensors).toBe(before);
    const losses = history.history.loss as number[];
    expect(losses.at(-1)).toBeLessThan(losses[0] as number);
    expect(optimizer.step).toBe(30);
    tf.dispose([xs, ys]);
    optimizer.dispose();
    model.dispose();
  });
});
