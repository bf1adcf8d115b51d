import '@tensorflow/tfjs-backend-cpu';
import { chain, gradientDescent, local, maxAbs, type NonFiniteError, scaleBy, threeFactor } from '@ghl/core';
import { gate } from '@ghl/modulator-gate';
import { scalar } from '@ghl/modulator-scalar';
import { sign } from '@ghl/modulator-sign';
import { bcm } from '@ghl/rule-bcm';
import { oja } from '@ghl/rule-oja';
import * as tf from '@tensorflow/tfjs-core';
import * as tfd from '@tensorflow/tfjs-data';
import * as tfl from '@tensorflow/tfjs-layers';
import { beforeAll, describe, expect, it } from 'vitest';
import { type Assignment, type PlasticOptimizer, plasticOptimizer } from './index.js';
import { lossOf, own, random, values } from './model.fixture.js';

beforeAll(async () => {
  await tf.setBackend('cpu');
});

const rest = chain(gradientDescent(), scaleBy(0.1));
/** A step size that overflows float32 in one step, counted from 0. */
const burst = (bad: number) => scaleBy((step: number) => (step === bad ? 1e39 : 0.1));
const stateOf = async (optimizer: PlasticOptimizer, of: string) =>
  (await optimizer.getWeights())
    .filter(({ name }) => name.startsWith(of))
    .map(({ name, tensor }) => [name, Array.from(tensor.dataSync())]);

function net(): tfl.LayersModel {
  return own(
    tfl.sequential({
      layers: [
        tfl.layers.dense({ name: 'first', units: 3, activation: 'tanh', useBias: false, inputShape: [4] }),
        tfl.layers.dense({ name: 'second', units: 3, activation: 'tanh', useBias: false }),
        tfl.layers.dense({ name: 'out', units: 2 }),
      ],
    }),
  );
}

function functionalNet(): tfl.LayersModel {
  const { inputs, outputs } = net();
  return tfl.model({ inputs, outputs }); // the other model shares and disposes of its layers
}

describe('an increment that is not finite', () => {
  it('leaves the weights and the state of every layer unchanged', async () => {
    const model = net();
    const head = () => threeFactor(maxAbs(bcm()), scalar({ baseline: 0.5 }));
    const optimizer = own(
      plasticOptimizer(model, { first: chain(head(), burst(2)), second: chain(head(), scaleBy(0.1)), '*': rest }),
    );
    const x = random([5, 4], 1);
    for (const reward of [1, 2]) optimizer.minimize(lossOf(model, x), { signals: { reward } });
    await optimizer.checkFinite();
    const [before, state, others] = [
      values(model),
      await stateOf(optimizer, 'first/'),
      await stateOf(optimizer, 'second/'),
    ];
    expect(state.map(([name]) => name)).toContain('first/kernel/rule/theta');
    optimizer.minimize(lossOf(model, x), { signals: { reward: 4 } });
    expect(values(model)).toEqual(before);
    expect(await stateOf(optimizer, 'first/')).toEqual(state);
    expect(await stateOf(optimizer, 'second/')).toEqual(others);
    await expect(optimizer.checkFinite()).rejects.toMatchObject({
      name: 'NonFiniteError',
      code: 'NON_FINITE_STEP',
      message: expect.stringMatching(/^Step 3: .*first\/kernel/),
    });
  });

  it('throws once, in checkFinite() or the next step, and then training continues', async () => {
    const model = net();
    const optimizer = own(plasticOptimizer(model, { first: chain(local(maxAbs(oja())), burst(0)), '*': rest }));
    const f = lossOf(model, random([5, 4], 1));
    optimizer.minimize(f);
    await expect(optimizer.checkFinite()).rejects.toMatchObject({ code: 'NON_FINITE_STEP' });
    await optimizer.checkFinite();
    const before = values(model.getLayer('first'));
    optimizer.minimize(f);
    await optimizer.checkFinite();
    expect(values(model.getLayer('first'))).not.toEqual(before);

    const other = own(plasticOptimizer(model, { first: chain(local(maxAbs(oja())), burst(0)), '*': rest }));
    other.minimize(f);
    await new Promise((resolve) => setTimeout(resolve));
    expect(() => other.minimize(f)).toThrow(expect.objectContaining({ code: 'NON_FINITE_STEP' }));
    expect(other.step).toBe(1);
    other.minimize(f);
    await other.checkFinite();
    expect(other.step).toBe(2);
  });

  it('reports the first of several bad steps', async () => {
    const model = net();
    const optimizer = own(
      plasticOptimizer(model, {
        first: chain(local(maxAbs(oja())), burst(2)),
        second: chain(local(maxAbs(oja())), burst(1)),
        '*': rest,
      }),
    );
    const f = lossOf(model, random([5, 4], 1));
    for (let step = 0; step < 4; step++) optimizer.minimize(f); // no flag is read between the steps
    await expect(optimizer.checkFinite()).rejects.toMatchObject({
      message: expect.stringMatching(/^Step 2: .*second\/kernel/),
    });
  });

  it.each([
    ['a scalar', () => scalar()],
    ['a shut gate, which would hide it', () => gate({ on: 'reward', threshold: 1 })],
    ['a gate on surprise, which would remember it', () => gate({ on: 'surprise', threshold: 1 })],
  ])('leaves weights and baseline unchanged for a reward tensor that is not finite: %s', async (_, modulator) => {
    const model = net();
    const optimizer = own(
      plasticOptimizer(model, { first: chain(threeFactor(maxAbs(bcm()), modulator()), scaleBy(0.1)), '*': rest }),
    );
    const x = random([5, 4], 1);
    optimizer.minimize(lossOf(model, x), { signals: { reward: 1 } });
    const [before, state] = [values(model), await stateOf(optimizer, 'first/')];
    optimizer.minimize(lossOf(model, x), { signals: { reward: () => tf.tensor1d([1, 2, Number.NaN, 1, 1]) } });
    expect(values(model)).toEqual(before);
    expect(await stateOf(optimizer, 'first/')).toEqual(state);
    await expect(optimizer.checkFinite()).rejects.toMatchObject({
      message: expect.stringMatching(/^Step 2: .*first\/kernel/),
      help: expect.stringContaining('signal'),
    });
  });

  it('flags a bad step of a tfjs optimizer, and keeps its moments finite', async () => {
    const model = net();
    const adam = own(tf.train.adam(0.1));
    const optimizer = own(plasticOptimizer(model, { out: adam, '*': null }));
    const x = random([5, 4], 1);
    optimizer.minimize(lossOf(model, x));
    const nan = own(tf.fill([5, 4], Number.NaN));
    optimizer.minimize(lossOf(model, nan));
    expect(values(model.getLayer('out')).flat().every(Number.isFinite)).toBe(true);
    await expect(optimizer.checkFinite()).rejects.toMatchObject({
      code: 'NON_FINITE_STEP',
      message: expect.stringMatching(/^Step 2: the new value of out\/(kernel|bias)/),
      help: expect.stringContaining('loss'),
    });
    const between = values(model.getLayer('out'));
    optimizer.minimize(lossOf(model, x));
    expect(values(model.getLayer('out')).flat().every(Number.isFinite)).toBe(true);
    expect(values(model.getLayer('out'))).not.toEqual(between);
    await optimizer.checkFinite();
  });

  it('leaves weights bit-identical after a bad step of plain gradient descent', async () => {
    const model = net();
    const optimizer = own(plasticOptimizer(model, { '*': own(tf.train.sgd(0.1)) }));
    const before = values(model);
    optimizer.minimize(lossOf(model, own(tf.fill([5, 4], Number.NaN))));
    expect(values(model)).toEqual(before);
    await expect(optimizer.checkFinite()).rejects.toMatchObject({ code: 'NON_FINITE_STEP' });
  });

  const causes: [string, Assignment, number, RegExp][] = [
    [
      'undefined input',
      { first: chain(local(maxAbs(oja())), scaleBy(0.1)), '*': rest },
      Number.NaN,
      /loss was not finite/,
    ],
    ['a rule that nothing normalises', { first: local(oja()), '*': null }, 1e20, /wrap it in maxAbs\(\)/],
    [
      'a step size',
      { first: chain(threeFactor(maxAbs(oja()), sign()), burst(0)), '*': rest },
      1,
      /lower the step size/,
    ],
    ['the step size of the gradient', { out: chain(gradientDescent(), burst(0)), '*': null }, 1, /lower the step size/],
  ];
  it.each(causes)('names the likely cause: %s', async (_, assignment, scale, cause) => {
    const model = net();
    const optimizer = own(plasticOptimizer(model, assignment));
    const x = own(tf.mul(random([5, 4], 1), scale));
    const before = Object.keys(assignment).flatMap((layer) => (layer === '*' ? [] : values(model.getLayer(layer))));
    optimizer.minimize(lossOf(model, x));
    const error = await optimizer.checkFinite().then(
      () => null,
      (thrown: NonFiniteError) => thrown,
    );
    expect(error?.help).toMatch(cause);
    expect(Object.keys(assignment).flatMap((layer) => (layer === '*' ? [] : values(model.getLayer(layer))))).toEqual(
      before,
    );
  });

  it('rejects fit(), and a later fit() continues', async () => {
    const model = net();
    const optimizer = own(plasticOptimizer(model, { first: chain(local(maxAbs(oja())), burst(2)), '*': rest }));
    model.compile({ optimizer, loss: 'meanSquaredError' });
    const [xs, ys] = [random([8, 4], 1), random([8, 2], 2)];
    tf.engine().startScope(); // fit() leaks a tensor when it throws
    await expect(model.fit(xs, ys, { batchSize: 2, epochs: 3, verbose: 0 })).rejects.toMatchObject({
      code: 'NON_FINITE_STEP',
      message: expect.stringContaining('Step 3:'),
    });
    tf.engine().endScope();
    expect(optimizer.step).toBeLessThan(12);
    expect(values(model.getLayer('first')).flat().every(Number.isFinite)).toBe(true);
    const { history } = await model.fit(xs, ys, { batchSize: 2, epochs: 2, verbose: 0 });
    expect((history.loss as number[]).every(Number.isFinite)).toBe(true);
    await optimizer.checkFinite();
  });

  it.each(['fit', 'fitDataset'] as const)('rejects %s() after a bad last step', async (way) => {
    for (const make of [net, functionalNet]) {
      const model = make();
      const optimizer = own(plasticOptimizer(model, { first: chain(local(maxAbs(oja())), burst(5)), '*': rest }));
      model.compile({ optimizer, loss: 'meanSquaredError', metrics: ['mse'] });
      const [xs, ys] = [random([6, 4], 1), random([6, 2], 2)];
      const batches = tfd.generator(function* () {
        for (let i = 0; i < 3; i++) yield { xs: tf.slice(xs, [2 * i], [2]), ys: tf.slice(ys, [2 * i], [2]) };
      } as never) as tfd.Dataset<tf.TensorContainer>;
      const train = () =>
        way === 'fit'
          ? model.fit(xs, ys, { batchSize: 2, epochs: 2, verbose: 0 })
          : model.fitDataset(batches, { epochs: 2, verbose: 0 });
      const { numTensors } = tf.memory();
      await expect(train()).rejects.toMatchObject({
        code: 'NON_FINITE_STEP',
        message: expect.stringMatching(/^Step 6: .*first\/kernel/),
      });
      expect(tf.memory().numTensors).toBe(numTensors);
      expect(optimizer.step).toBe(6);
      const { history } = await train();
      expect(history.loss).toHaveLength(2);
      expect(optimizer.step).toBe(12);
    }
  });

  it('detects gradients that are not finite in applyGradients()', async () => {
    const model = net();
    const optimizer = own(plasticOptimizer(model, { '*': rest }));
    const variable = model.getLayer('first').weights[0]?.read() as tf.Variable;
    const before = values(model.getLayer('first'));
    optimizer.applyGradients([{ name: variable.name, tensor: own(tf.fill([4, 3], Number.POSITIVE_INFINITY)) }]);
    expect(values(model.getLayer('first'))).toEqual(before);
    await expect(optimizer.checkFinite()).rejects.toMatchObject({
      message: expect.stringMatching(/^Step 1: .*first\/kernel/),
    });
  });
});
