/** A rejected step changes no weight. On WebAssembly, a finite step makes no extra pass over the weights for that. */
import '../tools/vitest/software-gpu.js';
import { backend as wasm } from '@ghl/backend-wasm';
import { backend as webgpu } from '@ghl/backend-webgpu';
import { chain, gradientDescent, maxAbs, scaleBy, threeFactor } from '@ghl/core';
import { ALL_FINITE, CHOOSE, FUSED_UPDATE } from '@ghl/core/backend';
import { plasticOptimizer } from '@ghl/learner';
import { batchNorm } from '@ghl/models';
import { sign } from '@ghl/modulator-sign';
import { bcm } from '@ghl/rule-bcm';
import { swta } from '@ghl/rule-swta';
import * as tf from '@tensorflow/tfjs-core';
import { constraints, layers, type Sequential, sequential } from '@tensorflow/tfjs-layers';
import { afterEach, describe, expect, it } from 'vitest';

const kernelConstraint = constraints.nonNeg();

function network(): Sequential {
  return sequential({
    layers: [
      layers.conv2d({
        name: 'conv',
        inputShape: [8, 8, 2],
        filters: 6,
        kernelSize: 3,
        useBias: false,
        kernelConstraint,
      }),
      batchNorm({ name: 'ours', momentum: 0.5, scale: true, center: true }),
      layers.reLU(),
      layers.flatten(),
      layers.dense({ name: 'hidden', units: 5 }),
      layers.batchNormalization({ name: 'theirs', momentum: 0.5 }),
      layers.dense({ name: 'out', units: 3, activation: 'softmax' }),
    ],
  });
}

const ghl = () => chain(threeFactor(maxAbs(swta()), sign()), scaleBy(0.05));
const rest = () => chain(gradientDescent(), scaleBy(0.05));
const plans = {
  'fused moves': () => ({ conv: ghl(), '*': rest() }),
  'rules with state': () => ({ hidden: chain(threeFactor(maxAbs(bcm()), sign()), scaleBy(0.05)), '*': rest() }),
  'tf.train.adam': () => ({ conv: ghl(), '*': tf.train.adam(0.05) }),
};

const lossOf = (model: Sequential, x: tf.Tensor) => () => {
  const p = model.apply(x, { training: true }) as tf.Tensor;
  return tf.neg(tf.mean(tf.log(tf.slice(p, [0, 0], [-1, 1])))) as tf.Scalar;
};

const bits = (weights: tf.Tensor[]) => Promise.all(weights.map(async (weight) => (await weight.data()).slice()));

describe.each([
  ['WebAssembly', wasm],
  ['WebGPU', webgpu],
] as const)('on %s', (_, backend) => {
  afterEach(() => backend.deactivate());

  it.each(Object.entries(plans))('changes no weight in a step that is not finite, with %s', async (__, plan) => {
    await backend.activate();
    const [model, oracle] = [network(), network()];
    oracle.setWeights(model.getWeights());
    model.setWeights(oracle.getWeights()); // setWeights() applies constraints
    const [optimizer, never] = [plasticOptimizer(model, plan()), plasticOptimizer(oracle, plan())];
    const [first, second] = [1, 2].map((seed) => tf.randomNormal([6, 8, 8, 2], 0, 1, 'float32', seed)) as [
      tf.Tensor,
      tf.Tensor,
    ];
    optimizer.minimize(lossOf(model, first));
    never.minimize(lossOf(oracle, first));
    for (const factor of [Number.NaN, Number.POSITIVE_INFINITY, 1e30]) {
      const before = await bits(model.getWeights());
      optimizer.minimize(lossOf(model, tf.mul(first, factor)));
      await expect(optimizer.checkFinite()).rejects.toMatchObject({ code: 'NON_FINITE_STEP' });
      expect(await bits(model.getWeights())).toEqual(before);
    }
    optimizer.minimize(lossOf(model, second));
    never.minimize(lossOf(oracle, second));
    await optimizer.checkFinite();
    expect(await bits(model.getWeights())).toEqual(await bits(oracle.getWeights()));
    expect(Math.min(...(await (model.getLayer('conv').getWeights()[0] as tf.Tensor).data()))).toBe(0);
  });
});

it('makes no pass over weights in a finite step: it selects, tiles and compares no tensor as large as a weight', async () => {
  await wasm.activate();
  const model = network();
  const optimizer = plasticOptimizer(model, plans['fused moves']());
  const x = tf.randomNormal([6, 8, 8, 2], 0, 1, 'float32', 1);
  optimizer.minimize(lossOf(model, x));
  const { kernels } = await tf.profile(() => {
    optimizer.minimize(lossOf(model, x));
    return tf.scalar(0);
  });
  const weights = model.trainableWeights.length;
  const statistics = 4;
  const count = (name: string) => kernels.filter((kernel) => kernel.name === name).length;
  expect([count(FUSED_UPDATE), count(CHOOSE), count(ALL_FINITE)]).toEqual([
    weights,
    weights + statistics,
    statistics + 1,
  ]);
  const large = kernels.filter(
    ({ name, outputShapes }) =>
      ['Select', 'Tile', 'BroadcastTo', 'IsFinite', 'ZerosLike', 'Fill', 'Add'].includes(name) &&
      outputShapes.some((shape) => ['3,3,2,6', '216,5'].includes(shape.join())),
  );
  expect(large.map(({ name, outputShapes }) => [name, outputShapes])).toEqual([]);
  await wasm.deactivate();
});
