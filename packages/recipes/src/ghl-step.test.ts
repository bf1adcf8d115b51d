/**
 * GHL's update and a short training run against independent float64 implementations that share no code with the engine.
 */
import { generator, relativeError } from '@ghl/conformance/testing';
import { chain, cosine, decayWeights, gradientDescent, maxAbs, scaleBy, threeFactor } from '@ghl/core';
import { conv2d, initState, layerIncrement } from '@ghl/core/engine';
import { plasticOptimizer } from '@ghl/learner';
import { batchNorm } from '@ghl/models';
import { sign } from '@ghl/modulator-sign';
import { swta } from '@ghl/rule-swta';
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import * as tfl from '@tensorflow/tfjs-layers';
import { beforeAll, describe, expect, it } from 'vitest';
import { Float64Net, forwardConv, ghlUpdate, type Images, images } from './float64.fixture.js';

beforeAll(async () => {
  await tf.setBackend('cpu');
});

describe('one update of maxAbs(swta) × sign', () => {
  const grid = [1, 3, 5].flatMap((kernel) =>
    [1, 2].flatMap((stride) =>
      [1, 2].flatMap((dilation) => [0, 1, 2].map((padding) => ({ kernel, stride, dilation, padding }))),
    ),
  );
  it.each(grid)(
    'agrees with float64 for kernel $kernel, stride $stride, dilation $dilation, padding $padding',
    (geometry) => {
      for (const temperature of [1, 1 / 0.65, 4]) {
        const draw = generator(geometry.kernel * 100 + geometry.stride * 10 + geometry.dilation + geometry.padding);
        const shape = [geometry.kernel, geometry.kernel, 2, 4] as const;
        const x = images([3, 11, 10, 2], draw);
        const w = Float64Array.from({ length: geometry.kernel ** 2 * 8 }, draw);
        const g = Float64Array.from({ length: w.length }, draw);
        const expected = ghlUpdate(x, w, g, shape, geometry, temperature);
        const actual = tf.tidy(() => {
          const product = threeFactor(maxAbs(swta({ temperature })), sign());
          const { stride: strides, dilation: dilations, padding } = geometry;
          const connection = conv2d(shape, { strides, dilations, padding });
          const kernel = tf.tensor(Float32Array.from(w), [...shape]);
          const pre = tf.tensor(Float32Array.from(x.data), x.shape);
          const calls = [{ pre, post: connection.forward(pre, kernel) }];
          const signals = { gradient: tf.tensor(Float32Array.from(g), [...shape]) };
          const state = initState(product, shape, connection.units);
          return layerIncrement(product, { connection, kernel, calls, signals, step: 0 }, state).increment.dataSync();
        });
        expect(relativeError(actual, expected)).toBeLessThan(1e-4);
      }
    },
  );

  it('has a forward pass that agrees with its reference', () => {
    const draw = generator(7);
    const x: Images = images([2, 7, 6, 3], draw);
    const w = Float64Array.from({ length: 3 * 3 * 3 * 2 }, draw);
    const y = forwardConv(x, w, [3, 3, 3, 2], { stride: 2, dilation: 1, padding: 1 });
    const actual = tf.tidy(() =>
      tf
        .conv2d(tf.tensor4d(Float32Array.from(x.data), x.shape), tf.tensor4d(Float32Array.from(w), [3, 3, 3, 2]), 2, 1)
        .dataSync(),
    );
    expect(relativeError(actual, y.data)).toBeLessThan(1e-5);
  });
});

describe('20 steps of a two-convolution net with batch norm, weight decay and cosine', () => {
  it('follow the float64 trajectory in every weight and in the logits at inference', () => {
    const draw = generator(3);
    const steps = 20;
    const net = new Float64Net({ size: 8, channels: [2, 4, 5], classes: 3, draw });
    const model = tfl.sequential({
      layers: [
        batchNorm({ name: 'bn1', inputShape: [8, 8, 2] }),
        tfl.layers.conv2d({
          name: 'conv1',
          filters: 4,
          kernelSize: 3,
          padding: 'same',
          useBias: false,
          activation: 'relu',
        }),
        tfl.layers.maxPooling2d({ poolSize: 2 }),
        batchNorm({ name: 'bn2' }),
        tfl.layers.conv2d({
          name: 'conv2',
          filters: 5,
          kernelSize: 3,
          padding: 'same',
          useBias: false,
          activation: 'relu',
        }),
        tfl.layers.flatten(),
        tfl.layers.dense({ name: 'logits', units: 3 }),
      ],
    });
    const set = (layer: string, ...values: Float64Array[]) => {
      const weights = model.getLayer(layer).getWeights().slice(0, values.length);
      const tensors = values.map((value, i) => tf.tensor(Float32Array.from(value), (weights[i] as tf.Tensor).shape));
      model.getLayer(layer).setWeights(tensors);
      tf.dispose(tensors);
    };
    set('conv1', net.conv1);
    set('conv2', net.conv2);
    set('logits', net.dense, net.bias);
    const ghl = (temperature: number) =>
      chain(threeFactor(maxAbs(swta({ temperature })), sign()), decayWeights(5e-2), scaleBy(cosine(1e-2, steps)));
    const optimizer = plasticOptimizer(model, {
      conv1: ghl(1),
      conv2: ghl(1 / 0.65),
      '*': chain(gradientDescent(), scaleBy(cosine(5e-3, steps))),
    });
    const cosineAt = (peak: number, t: number) => (peak / 2) * (1 + Math.cos((Math.PI * t) / steps));
    for (let t = 0; t < steps; t++) {
      const x = images([6, 8, 8, 2], draw);
      const labels = Array.from({ length: 6 }, (_, i) => (i + t) % 3);
      net.step(x, labels, {
        eta: cosineAt(1e-2, t),
        decay: 5e-2,
        etaRest: cosineAt(5e-3, t),
        temperatures: [1, 1 / 0.65],
      });
      tf.tidy(() => {
        const xs = tf.tensor(Float32Array.from(x.data), x.shape);
        const ys = tf.oneHot(tf.tensor1d(labels, 'int32'), 3);
        optimizer.minimize(
          () => tf.losses.softmaxCrossEntropy(ys, model.apply(xs, { training: true }) as tf.Tensor) as tf.Scalar,
        );
      });
    }
    const weight = (layer: string, i = 0) => (model.getLayer(layer).getWeights()[i] as tf.Tensor).dataSync();
    expect(relativeError(weight('conv1'), net.conv1)).toBeLessThan(1e-4);
    expect(relativeError(weight('conv2'), net.conv2)).toBeLessThan(1e-4);
    expect(relativeError(weight('logits'), net.dense)).toBeLessThan(1e-4);
    expect(relativeError(weight('logits', 1), net.bias)).toBeLessThan(1e-4);
    const held = images([5, 8, 8, 2], draw);
    const logits = tf.tidy(() =>
      (model.predict(tf.tensor(Float32Array.from(held.data), held.shape)) as tf.Tensor).dataSync(),
    );
    expect(relativeError(logits, net.infer(held))).toBeLessThan(1e-4);
    optimizer.dispose();
    model.dispose();
  });
});
