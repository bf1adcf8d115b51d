/** The step scale: one factor of the step of every updater. It can change at any time, and is saved. */
import '@tensorflow/tfjs-backend-cpu';
import {
  chain,
  constant,
  cosine,
  decayWeights,
  gradientDescent,
  local,
  maxAbs,
  type Plasticity,
  scaleBy,
  threeFactor,
} from '@ghl/core';
import { scalar } from '@ghl/modulator-scalar';
import { sign } from '@ghl/modulator-sign';
import { bcm } from '@ghl/rule-bcm';
import { swta } from '@ghl/rule-swta';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { beforeAll, describe, expect, it } from 'vitest';
import { type Assignment, type PlasticOptimizer, plasticOptimizer, register } from './index.js';
import { lossOf, own, ownTf, random, saved, tfOptimizers, twins, values } from './model.fixture.js';

beforeAll(async () => {
  await tf.setBackend('cpu');
  register({ bcm, scalar, sign, swta });
});

const net = () =>
  own(
    tfl.sequential({
      layers: [
        tfl.layers.dense({ name: 'first', units: 3, inputShape: [3], activation: 'tanh' }),
        tfl.layers.dense({ name: 'out', units: 2 }),
      ],
    }),
  );

const rest = chain(gradientDescent(), scaleBy(0.1));

function train(model: tfl.LayersModel, optimizer: tf.Optimizer, from: number, to: number): void {
  for (let step = from; step < to; step++) optimizer.minimize(lossOf(model, random([4, 3], step + 1)));
}

const optimizerOf = (model: tfl.LayersModel, assignment: Assignment) => own(plasticOptimizer(model, assignment));

const plasticities: readonly [string, () => Plasticity][] = [
  ['gradient', () => chain(gradientDescent(), decayWeights(0.1), scaleBy(cosine(0.1, 20)))],
  ['a rule', () => chain(local(maxAbs(swta())), scaleBy(0.1))],
  ['a rule with state', () => chain(local(maxAbs(bcm())), scaleBy(0.1))],
  ['rule × sign', () => chain(threeFactor(maxAbs(swta()), sign()), decayWeights(0.1), scaleBy(0.1))],
  ['rule × loss', () => chain(threeFactor(maxAbs(bcm()), scalar({ on: 'loss' })), scaleBy(0.1))],
  ['no activity', () => chain(threeFactor(constant(), sign()), scaleBy(0.1))],
];

describe('a plasticity at the scale s steps as its chain with scaleBy(s)', () => {
  it.each(plasticities)('equals the scaled chain: %s', (_, make) => {
    for (const scale of [0.3, 2, 0]) {
      const [model, oracle] = twins(net);
      const optimizer = optimizerOf(model, { first: make(), '*': rest });
      const other = optimizerOf(oracle, { first: chain(make(), scaleBy(scale)), '*': chain(rest, scaleBy(scale)) });
      optimizer.stepScale = scale;
      train(model, optimizer, 0, 3);
      train(oracle, other, 0, 3);
      expect(values(model)).toEqual(values(oracle));
    }
  });
});

describe('a tfjs optimizer at the scale s steps to W + s·(W′ − W), where its own step is W′', () => {
  it.each(tfOptimizers)('equals the interpolation: %s', (_, make) => {
    for (const scale of [0.3, 2, 0]) {
      const [model, oracle] = twins(net);
      const [theirs, stock] = [ownTf(make()), ownTf(make())];
      const optimizer = optimizerOf(model, { '*': theirs });
      optimizer.stepScale = scale;
      const variables = oracle.trainableWeights.map((weight) => weight.read() as tf.Variable);
      for (let step = 0; step < 3; step++) {
        train(model, optimizer, step, step + 1);
        const before = variables.map((variable) => own(tf.clone(variable)));
        stock.minimize(lossOf(oracle, random([4, 3], step + 1)), false, variables);
        variables.forEach((variable, i) => {
          const [w, next] = [before[i] as tf.Tensor, variable];
          tf.tidy(() => variable.assign(tf.add(w, tf.mul(tf.sub(next, w), scale))));
        });
      }
      expect(values(model)).toEqual(values(oracle));
    }
  });
});

it('a scale of 1, initially or again, changes nothing', () => {
  const [model, oracle] = twins(net);
  const plan = () => ({ first: chain(local(maxAbs(bcm())), scaleBy(0.1)), '*': ownTf(tf.train.adam(0.1)) });
  const [optimizer, other] = [optimizerOf(model, plan()), optimizerOf(oracle, plan())];
  expect(optimizer.stepScale).toBe(1);
  optimizer.stepScale = 0.5;
  optimizer.stepScale = 1;
  train(model, optimizer, 0, 3);
  train(oracle, other, 0, 3);
  expect(values(model)).toEqual(values(oracle));
});

it('a scale of 0 moves no weight, and the state of updaters still changes', async () => {
  const [model, oracle] = twins(net);
  const plan = () => ({
    first: chain(threeFactor(maxAbs(swta()), scalar({ on: 'loss' })), scaleBy(0.1)),
    '*': ownTf(tf.train.adam(0.1)),
  });
  const optimizer = optimizerOf(model, plan());
  const before = values(model);
  optimizer.stepScale = 0;
  train(model, optimizer, 0, 3);
  expect(values(model)).toEqual(before);
  expect(optimizer.step).toBe(3);
  const other = optimizerOf(oracle, plan());
  train(oracle, other, 0, 1);
  const remembered = async (each: PlasticOptimizer) =>
    (await each.getWeights()).filter(({ name }) => /baseline|mean|\/m$/.test(name));
  const [mine, first] = [await remembered(optimizer), await remembered(other)];
  expect(mine.length).toBe(4);
  expect(mine.map(({ tensor }) => [...tensor.dataSync()])).not.toEqual(
    first.map(({ tensor }) => [...tensor.dataSync()]),
  );
});

it('the scale applies in applyGradients and the statistics, but not in computeGradients', async () => {
  const [model, oracle] = twins(net);
  const [optimizer, other] = [
    optimizerOf(model, { '*': rest }),
    optimizerOf(oracle, { '*': chain(rest, scaleBy(0.25)) }),
  ];
  const f = lossOf(model, random([4, 3], 1));
  const whole = optimizer.computeGradients(f);
  optimizer.stepScale = 0.25;
  const { value, grads } = optimizer.computeGradients(f);
  for (const [name, grad] of Object.entries(grads))
    expect(grad).toBeAllClose(whole.grads[name] as tf.Tensor, { rtol: 0 });
  optimizer.applyGradients(grads);
  tf.dispose([value, grads, whole.value, whole.grads]);
  train(oracle, other, 0, 1);
  expect(values(model)).toEqual(values(oracle));
  const [mine, theirs] = [optimizer.measureNextStep(), other.measureNextStep()];
  train(model, optimizer, 1, 2);
  train(oracle, other, 1, 2);
  expect(await mine).toEqual(await theirs);
});

it.each([-1, -1e-300, Number.NaN, Infinity, '1', null, undefined, 1n])('rejects the scale %s', (scale) => {
  const optimizer = optimizerOf(net(), { '*': rest });
  expect(() => Object.assign(optimizer, { stepScale: scale })).toThrow(
    expect.objectContaining({
      name: 'ConfigurationError',
      code: 'BAD_VALUE',
      message: expect.stringMatching('stepScale'),
    }),
  );
  expect(optimizer.stepScale).toBe(1);
});

it('rejects a scale after dispose()', () => {
  const optimizer = plasticOptimizer(net(), { '*': rest });
  optimizer.dispose();
  expect(() => {
    optimizer.stepScale = 0.5;
  }).toThrow(expect.objectContaining({ code: 'DISPOSED' }));
});

describe('a learning rate', () => {
  const none = expect.objectContaining({
    name: 'ConfigurationError',
    code: 'NO_LEARNING_RATE',
    help: expect.stringMatching('stepScale'),
  });

  it.each([0, 0.001, '0.1', null])('cannot be set: %s', (rate) => {
    const optimizer = optimizerOf(net(), { '*': ownTf(tf.train.sgd(0.1)) });
    expect(optimizer.learningRate).toBeUndefined();
    expect(() => Object.assign(optimizer, { learningRate: rate })).toThrow(none);
    expect(() => optimizer.setLearningRate(rate as number)).toThrow(none);
  });

  it('cannot be set in a callback; the step scale can, and is saved', async () => {
    const [model, oracle] = twins(net);
    const plan = () => ({
      first: chain(threeFactor(maxAbs(swta()), sign()), scaleBy(cosine(0.1, 40))),
      '*': ownTf(tf.train.momentum(0.05, 0.8)),
    });
    const compiled = (it: tfl.LayersModel) => {
      const optimizer = optimizerOf(it, plan());
      it.compile({ optimizer, loss: 'meanSquaredError' });
      return optimizer;
    };
    const fit = async (it: tfl.LayersModel, epochs: number) => {
      await it.fit(random([4, 3], 1), random([4, 2], 2), {
        epochs,
        batchSize: 2,
        shuffle: false,
        verbose: 0,
        callbacks: {
          onBatchEnd: () => {
            (it.optimizer as PlasticOptimizer).stepScale *= 0.3;
          },
        },
      });
    };
    const optimizer = compiled(model);
    optimizer.stepScale = 1 / 3;
    compiled(oracle).stepScale = 1 / 3;
    await fit(oracle, 3);
    await fit(model, 1);
    const loaded = own(await tfl.loadLayersModel(tf.io.fromMemory(await saved(model))));
    expect((own(loaded.optimizer) as PlasticOptimizer).stepScale).toBe(optimizer.stepScale);
    await fit(loaded, 2);
    expect(values(loaded)).toEqual(values(oracle));
    tf.engine().startScope(); // fit() leaks a tensor when it throws
    await expect(
      model.fit(random([4, 3], 1), random([4, 2], 2), {
        verbose: 0,
        callbacks: {
          onBatchEnd: () => {
            Object.assign(model.optimizer, { learningRate: 0 });
          },
        },
      }),
    ).rejects.toEqual(none);
    tf.engine().endScope();
  });
});

describe('a saved scale', () => {
  const stateOf = async (scale: number) => {
    const optimizer = optimizerOf(net(), { '*': rest });
    optimizer.stepScale = scale;
    return (await optimizer.getWeights()).map(({ name, tensor }) => ({ name, tensor: own(tf.clone(tensor)) }));
  };

  it.each([0, 0.1, 1 / 3, 1e-300, 5e-324, Number.MAX_VALUE])('is restored exactly: %s', async (scale) => {
    const optimizer = optimizerOf(net(), { '*': rest });
    await optimizer.setWeights(await stateOf(scale));
    expect(optimizer.stepScale).toBe(scale);
    const again = optimizerOf(net(), { '*': rest });
    await again.setWeights(await optimizer.getWeights());
    expect(again.stepScale).toBe(scale);
  });

  it('is 1 if an older state lacks it', async () => {
    const optimizer = optimizerOf(net(), { '*': rest });
    optimizer.stepScale = 0.5;
    await optimizer.setWeights((await stateOf(0.1)).filter(({ name }) => name !== 'stepScale'));
    expect(optimizer.stepScale).toBe(1);
  });

  it.each([-1, Number.NaN, Infinity])('is refused as %s', async (scale) => {
    const optimizer = optimizerOf(net(), { '*': rest });
    const bits = own(tf.tensor1d(new Int32Array(Float64Array.of(scale).buffer), 'int32'));
    const state = (await stateOf(1)).map((each) => (each.name === 'stepScale' ? { ...each, tensor: bits } : each));
    await expect(optimizer.setWeights(state)).rejects.toMatchObject({ code: 'STATE_MISMATCH' });
    expect(optimizer.stepScale).toBe(1);
  });
});
