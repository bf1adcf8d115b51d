/** Sums of plasticities on a model. */
import '@tensorflow/tfjs-backend-cpu';
import { chain, gradientDescent, local, maxAbs, momentum, type Plasticity, scaleBy, sum, threeFactor } from '@ghl/core';
import { scalar } from '@ghl/modulator-scalar';
import { sign } from '@ghl/modulator-sign';
import { bcm } from '@ghl/rule-bcm';
import { oja } from '@ghl/rule-oja';
import { swta } from '@ghl/rule-swta';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { beforeAll, describe, expect, it } from 'vitest';
import { plasticOptimizer, register } from './index.js';
import { lossOf, own, random, saved, twins, values } from './model.fixture.js';

beforeAll(async () => {
  await tf.setBackend('cpu');
});

function net(): tfl.LayersModel {
  return own(
    tfl.sequential({
      layers: [
        tfl.layers.conv2d({ name: 'conv', filters: 3, kernelSize: 2, activation: 'relu', inputShape: [4, 4, 2] }),
        tfl.layers.flatten(),
        tfl.layers.dense({ name: 'out', units: 2 }),
      ],
    }),
  );
}

const rest = chain(gradientDescent(), scaleBy(0.1));
const hybrid = () => sum(gradientDescent(), chain(local(maxAbs(swta())), scaleBy(0.05)));

describe('a sum', () => {
  it('moves a kernel by the sum of the increments of its parts', () => {
    const models = [net(), net(), net()] as const;
    for (const model of models) model.setWeights(models[0].getWeights());
    const x = random([5, 4, 4, 2], 1);
    const kernel = (model: tfl.LayersModel) => values(model.getLayer('conv'))[0] as number[];
    const before = kernel(models[0]);
    const moved = [hybrid(), gradientDescent(), chain(local(maxAbs(swta())), scaleBy(0.05))].map((conv, i) => {
      const model = models[i] as tfl.LayersModel;
      const optimizer = own(plasticOptimizer(model, { 'conv/kernel': conv as Plasticity, '*': rest }));
      optimizer.minimize(lossOf(model, x));
      return kernel(model).map((each, j) => each - (before[j] as number));
    });
    const [total, descent, hebbian] = moved as [number[], number[], number[]];
    expect(total).toBeAllClose(
      descent.map((each, i) => each + (hebbian[i] as number)),
      { atol: 1e-6 },
    );
  });

  it('correlates the gates of all parts and the gradient in one pass over the input', async () => {
    const model = net();
    const three = sum(
      gradientDescent(),
      local(oja()),
      chain(threeFactor(swta(), scalar({ per: 'example' })), scaleBy(0.1)),
    );
    const optimizer = own(plasticOptimizer(model, { 'conv/kernel': three, '*': rest }));
    const x = random([5, 4, 4, 2], 1);
    const signals = { reward: random([5], 2) };
    const { kernels, result } = await tf.profile(() => {
      optimizer.minimize(lossOf(model, x), { signals });
      return tf.scalar(0);
    });
    tf.dispose(result);
    expect(kernels.filter(({ name }) => name === 'Conv2DBackpropFilter')).toHaveLength(1);
  });

  it('keeps the number of tensors, also if it measures', async () => {
    const model = net();
    const stateful = chain(sum(chain(gradientDescent(), momentum()), local(maxAbs(bcm()))), momentum());
    const optimizer = own(plasticOptimizer(model, { 'conv/kernel': stateful, '*': rest }));
    const x = random([5, 4, 4, 2], 1);
    optimizer.minimize(lossOf(model, x));
    const { numTensors } = tf.memory();
    optimizer.minimize(lossOf(model, x));
    expect(tf.memory().numTensors).toBe(numTensors);
    const statistics = optimizer.measureNextStep();
    optimizer.minimize(lossOf(model, x));
    expect((await statistics).conv?.winShare).toHaveLength(3);
    expect(tf.memory().numTensors).toBe(numTensors);
  });

  it('is saved with a model, and continues bit for bit', async () => {
    register({ bcm, swta, sign });
    const make = () =>
      chain(sum(chain(threeFactor(swta(), sign()), momentum()), sum(local(maxAbs(bcm())))), scaleBy(0.1));
    const [model, oracle] = twins(net);
    const optimizer = own(plasticOptimizer(model, { 'conv/kernel': make(), '*': rest }));
    const whole = own(plasticOptimizer(oracle, { 'conv/kernel': make(), '*': rest }));
    const x = [1, 2, 3, 4].map((seed) => random([5, 4, 4, 2], seed));
    for (const each of x) whole.minimize(lossOf(oracle, each));
    for (const each of x.slice(0, 2)) optimizer.minimize(lossOf(model, each));
    model.compile({ optimizer, loss: 'meanSquaredError' });
    const names = (await optimizer.getWeights()).map(({ name }) => name);
    expect(names).toEqual([
      'step',
      'stepScale',
      'conv/kernel/terms/0/transforms/0/momentum',
      'conv/kernel/terms/1/terms/0/rule/theta',
    ]);
    const loaded = own(await tfl.loadLayersModel(tf.io.fromMemory(await saved(model))));
    const resumed = loaded.optimizer as typeof optimizer;
    for (const each of x.slice(2)) resumed.minimize(lossOf(loaded, each));
    expect(values(loaded)).toEqual(values(oracle));
    resumed.dispose();
  });

  it('of gradient descents moves every weight, one with a rule only kernels', () => {
    const both = sum(gradientDescent(), chain(gradientDescent(), scaleBy(2)));
    const [model, oracle] = twins(net);
    const x = random([5, 4, 4, 2], 1);
    const before = values(model);
    own(plasticOptimizer(model, { '*': chain(both, scaleBy(0.1)) })).minimize(lossOf(model, x));
    own(plasticOptimizer(oracle, { '*': chain(gradientDescent(), scaleBy(0.3)) })).minimize(lossOf(oracle, x));
    expect(values(model)).not.toEqual(before);
    for (const [i, weight] of values(model).entries()) {
      expect(weight).toBeAllClose(values(oracle)[i] as number[], { atol: 1e-5 });
    }
    expect(() => plasticOptimizer(model, { 'out/bias': hybrid(), '*': rest })).toThrow(
      expect.objectContaining({ code: 'RULE_ON_BIAS' }),
    );
    expect(() => plasticOptimizer(model, { '*': hybrid() })).toThrow(
      expect.objectContaining({ code: 'UNCLAIMED_WEIGHT' }),
    );
  });

  it('needs the activity of minimize() if a part does', () => {
    const model = net();
    const optimizer = own(plasticOptimizer(model, { 'conv/kernel': hybrid(), '*': rest }));
    expect(() => optimizer.computeGradients(lossOf(model, random([5, 4, 4, 2], 1)))).toThrow(
      expect.objectContaining({ code: 'NEEDS_ACTIVITY' }),
    );
  });
});
