import '@tensorflow/tfjs-backend-cpu';
import { chain, constant, cosine, decayWeights, gradientDescent, local, maxAbs, scaleBy, threeFactor } from '@ghl/core';
import { sign } from '@ghl/modulator-sign';
import { oja } from '@ghl/rule-oja';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { beforeAll, describe, expect, it } from 'vitest';
import { type Assignment, PlasticOptimizer, plasticOptimizer } from './index.js';
import { lossOf, own, random, twins, values } from './model.fixture.js';

beforeAll(async () => {
  await tf.setBackend('cpu');
});

const rest = chain(gradientDescent(), decayWeights(0.1), scaleBy(cosine(0.1, 10)));

function net(): tfl.LayersModel {
  return own(
    tfl.sequential({
      layers: [
        tfl.layers.conv2d({ name: 'conv', filters: 2, kernelSize: 2, dilationRate: 2, inputShape: [4, 4, 1] }),
        tfl.layers.batchNormalization({ name: 'bn' }),
        tfl.layers.dropout({ name: 'dropout', rate: 0.5 }),
        tfl.layers.flatten(),
        tfl.layers.dense({ name: 'out', units: 2 }),
      ],
    }),
  );
}

describe('computeGradients and applyGradients', () => {
  it.each<[string, () => Assignment]>([
    ['gradient()', () => ({ dropout: null, '*': rest })],
    ['a tfjs optimizer', () => ({ dropout: null, '*': own(tf.train.adam(0.01)) })],
    ['with something frozen', () => ({ bn: null, dropout: null, conv: rest, out: own(tf.train.adam(0.1)) })],
  ])('equal minimize() in combination: %s', (_, assignment) => {
    const [model, oracle] = twins(net);
    const [optimizer, whole] = [
      own(plasticOptimizer(model, assignment())),
      own(plasticOptimizer(oracle, assignment())),
    ];
    for (const seed of [1, 2, 3]) {
      const x = random([3, 4, 4, 1], seed);
      const { value, grads } = optimizer.computeGradients(lossOf(model, x));
      optimizer.applyGradients(seed === 2 ? Object.entries(grads).map(([name, tensor]) => ({ name, tensor })) : grads);
      expect(value).toBeAllClose(own(whole.minimize(lossOf(oracle, x), true) as tf.Scalar));
      tf.dispose([value, grads]);
    }
    expect(values(model)).toEqual(values(oracle));
    expect(optimizer.step).toBe(3);
  });

  it('move only the given weights, and no frozen weight', () => {
    const model = net();
    const optimizer = own(plasticOptimizer(model, { bn: null, dropout: null, '*': rest }));
    const variable = (layer: string) => model.getLayer(layer).weights[0]?.read() as tf.Variable;
    const { value, grads } = optimizer.computeGradients(lossOf(model, random([3, 4, 4, 1], 1)), [variable('conv')]);
    expect(Object.keys(grads)).toEqual([variable('conv').name]);
    const before = values(model);
    const gamma = variable('bn');
    optimizer.applyGradients({ ...grads, [gamma.name]: own(tf.onesLike(gamma)) });
    expect(values(model).map((each, i) => String(each) !== String(before[i]))).toEqual(
      model.weights.map((weight) => weight.read() === variable('conv')),
    );
    tf.dispose([value, grads]);
  });

  it('do not move untrainable weights, for any updater', () => {
    const model = net();
    const optimizer = own(plasticOptimizer(model, { conv: rest, bn: null, out: own(tf.train.adam(0.1)) }));
    const { value, grads } = optimizer.computeGradients(lossOf(model, random([3, 4, 4, 1], 1)));
    for (const [frozen, moves] of [
      ['conv', 'out'],
      ['out', 'conv'],
    ] as const) {
      model.getLayer(frozen).trainable = false;
      const before = values(model);
      optimizer.applyGradients(grads);
      expect(model.weights.filter((_, i) => String(values(model)[i]) !== String(before[i]))).toEqual(
        model.getLayer(moves).weights,
      );
      model.getLayer(frozen).trainable = true;
    }
    tf.dispose([value, grads]);
  });

  it('refuse variables of another model', () => {
    const [model, other] = twins(net);
    const optimizer = own(plasticOptimizer(model, { '*': rest }));
    const foreign = other.getLayer('out').weights[0]?.read() as tf.Variable;
    const unknown = expect.objectContaining({ code: 'UNKNOWN_VARIABLE' });
    expect(() => optimizer.applyGradients({ [foreign.name]: foreign })).toThrow(unknown);
    expect(() => optimizer.computeGradients(() => tf.scalar(1), [foreign])).toThrow(unknown);
    expect(optimizer.step).toBe(0);
  });

  it.each<[string, Assignment]>([
    ['a rule', { out: chain(local(maxAbs(oja())), scaleBy(0.1)), '*': rest }],
    ['rule × modulator', { out: chain(threeFactor(maxAbs(oja()), sign()), scaleBy(0.1)), '*': rest }],
  ])('refuse a rule that needs the activity: %s', (_, assignment) => {
    const model = net();
    const optimizer = own(plasticOptimizer(model, assignment));
    const refused = expect.objectContaining({ code: 'NEEDS_ACTIVITY', message: expect.stringContaining('out/kernel') });
    const f = lossOf(model, random([3, 4, 4, 1], 1));
    expect(() => optimizer.computeGradients(f)).toThrow(refused);
    expect(() => optimizer.applyGradients({})).toThrow(refused);
  });

  it('accept a rule that reads no activity', () => {
    const [model, oracle] = twins(net);
    const assignment = { dropout: null, out: chain(threeFactor(constant(), sign()), scaleBy(0.1)), '*': rest };
    const [optimizer, whole] = [own(plasticOptimizer(model, assignment)), own(plasticOptimizer(oracle, assignment))];
    const x = random([3, 4, 4, 1], 1);
    const { value, grads } = optimizer.computeGradients(lossOf(model, x));
    optimizer.applyGradients(grads);
    whole.minimize(lossOf(oracle, x));
    expect(values(model)).toEqual(values(oracle));
    tf.dispose([value, grads]);
  });
});

describe('dispose', () => {
  it('frees all tensors, may be called twice, and keeps the model and its tfjs optimizers', () => {
    const model = own(
      tfl.sequential({
        layers: [
          tfl.layers.dense({ name: 'first', units: 3, inputShape: [4], useBias: false }),
          tfl.layers.dense({ name: 'out', units: 2, useBias: false }),
        ],
      }),
    );
    const adam = own(tf.train.adam(0.01));
    const kernel = model.getLayer('out').weights[0]?.read() as tf.Variable;
    const f = lossOf(model, random([3, 4], 1));
    adam.minimize(f, false, [kernel]);
    const before = tf.memory().numTensors;
    const optimizer = plasticOptimizer(model, { first: chain(local(maxAbs(oja())), scaleBy(0.1)), out: adam });
    optimizer.minimize(f);
    optimizer.dispose();
    optimizer.dispose();
    expect(tf.memory().numTensors).toBe(before);
    const values = kernel.dataSync().slice();
    adam.minimize(f, false, [kernel]);
    expect(kernel.dataSync()).not.toEqual(values);
  });

  it('makes every later use throw a coded error', async () => {
    const model = net();
    const optimizer = plasticOptimizer(model, { '*': rest });
    const weights = await optimizer.getWeights();
    optimizer.dispose();
    const disposed = expect.objectContaining({ code: 'DISPOSED' });
    const f = lossOf(model, random([3, 4, 4, 1], 1));
    expect(() => optimizer.minimize(f)).toThrow(disposed);
    expect(() => optimizer.computeGradients(f)).toThrow(disposed);
    expect(() => optimizer.applyGradients({})).toThrow(disposed);
    expect(() => optimizer.measureNextStep()).toThrow(disposed);
    expect(() => optimizer.reads).toThrow(disposed);
    await expect(optimizer.checkFinite()).rejects.toEqual(disposed);
    await expect(optimizer.getWeights()).rejects.toEqual(disposed);
    await expect(optimizer.setWeights(weights)).rejects.toEqual(disposed);
    model.compile({ optimizer, loss: 'meanSquaredError' });
    tf.engine().startScope(); // fit() leaks a tensor when it throws
    await expect(model.fit(random([3, 4, 4, 1], 1), random([3, 2], 2), { verbose: 0 })).rejects.toEqual(disposed);
    tf.engine().endScope();
  });

  it('may be called while the flags of a step are read', async () => {
    const model = net();
    const optimizer = plasticOptimizer(model, { '*': rest });
    optimizer.minimize(lossOf(model, random([3, 4, 4, 1], 1)));
    optimizer.dispose();
    await new Promise((resolve) => setTimeout(resolve));
    expect(() => optimizer.minimize(() => undefined)).toThrow(expect.objectContaining({ code: 'DISPOSED' }));
  });
});

describe('an optimizer without a model', () => {
  it('throws NO_MODEL', async () => {
    const optimizer = own(new PlasticOptimizer({ '*': rest }));
    const noModel = expect.objectContaining({ code: 'NO_MODEL' });
    expect(() => optimizer.minimize(() => undefined)).toThrow(noModel);
    await expect(optimizer.getWeights()).rejects.toEqual(noModel);
  });
});
