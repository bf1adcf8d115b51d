import '@tensorflow/tfjs-backend-cpu';
import { chain, gradient, local, maxAbs, scaleBy, specOf, type Transform, threeFactor } from '@ghl/core';
import { sign } from '@ghl/modulator-sign';
import { bcm } from '@ghl/rule-bcm';
import { oja } from '@ghl/rule-oja';
import { swta } from '@ghl/rule-swta';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { beforeAll, describe, expect, it } from 'vitest';
import { type Assignment, type PlasticityOptimizer, plasticity } from './index.js';
import { lossOf, own, random, twins, values } from './model.fixture.js';

beforeAll(async () => {
  await tf.setBackend('cpu');
});

const rest = chain(gradient(), scaleBy(0.1));

function net(): tfl.LayersModel {
  return own(
    tfl.sequential({
      layers: [
        tfl.layers.dense({ name: 'first', units: 3, activation: 'tanh', inputShape: [4] }),
        tfl.layers.dense({ name: 'second', units: 3, activation: 'tanh' }),
        tfl.layers.dense({ name: 'out', units: 2 }),
      ],
    }),
  );
}

const stateOf = async (optimizer: PlasticityOptimizer) =>
  (await optimizer.getWeights()).map(({ name, tensor }) => [name, Array.from(tensor.dataSync())]);

/** A transform from elsewhere that fails at one step. */
const failing = (bad: number, how: (increment: tf.Tensor) => tf.Tensor): Transform => ({
  spec: specOf('failing', bad),
  init: () => ({ seen: tf.scalar(0) }),
  update: (increment, { step }, { seen }) => ({
    increment: step === bad ? how(increment) : increment,
    state: { seen: tf.add(seen, 1) },
  }),
});

describe('a step that throws', () => {
  const ways: [string, (increment: tf.Tensor) => tf.Tensor, string | RegExp][] = [
    [
      'an error of its own',
      () => {
        throw new RangeError('mine');
      },
      /mine/,
    ],
    ['an increment that would be broadcast', (increment) => tf.sum(increment, 0), /increment has the shape \[3\]/],
  ];

  it.each(ways)('in a transform, is no step: %s', async (_, how, message) => {
    const model = net();
    const optimizer = own(
      plasticity(model, {
        first: chain(local(maxAbs(bcm())), scaleBy(0.1)),
        second: chain(threeFactor(maxAbs(swta()), sign()), failing(1, how), scaleBy(0.1)),
        out: own(tf.train.adam(0.1)),
        '*': rest,
      }),
    );
    const [x, y] = [random([5, 4], 1), random([5, 4], 2)];
    optimizer.minimize(lossOf(model, x));
    tf.engine().startScope(); // tfjs leaks the copy of the iterations that its own optimizers hand out
    const [weights, state] = [values(model), await stateOf(optimizer)];
    const { numTensors } = tf.memory();
    expect(() => optimizer.minimize(lossOf(model, y))).toThrow(message);
    expect(tf.memory().numTensors).toBe(numTensors);
    expect(values(model)).toEqual(weights);
    expect(await stateOf(optimizer)).toEqual(state);
    tf.engine().endScope();
    expect(optimizer.step).toBe(1);
  });

  it('leaves the next one to go on as if it had not been', () => {
    let failures = 1;
    const once = (increment: tf.Tensor) => {
      if (failures-- > 0) throw new RangeError('mine');
      return increment;
    };
    const [model, oracle] = twins(net);
    const plan = (transform: Transform): Assignment => ({
      first: chain(local(maxAbs(bcm())), scaleBy(0.1)),
      second: chain(local(maxAbs(oja())), transform, scaleBy(0.1)),
      '*': rest,
    });
    const [optimizer, never] = [
      own(plasticity(model, plan(failing(1, once)))),
      own(plasticity(oracle, plan(failing(-1, once)))),
    ];
    const x = random([5, 4], 1);
    optimizer.minimize(lossOf(model, x));
    expect(() => optimizer.minimize(lossOf(model, x))).toThrow('mine');
    optimizer.minimize(lossOf(model, x));
    for (let i = 0; i < 2; i++) never.minimize(lossOf(oracle, x));
    expect(values(model)).toEqual(values(oracle));
  });

  it('because a state changes its shape, names both', () => {
    const growing: Transform = {
      spec: specOf('growing'),
      init: () => ({ trace: tf.zeros([1]) }),
      update: (increment, _, { trace }) => ({ increment, state: { trace: tf.concat([trace, trace]) } }),
    };
    const model = net();
    const optimizer = own(plasticity(model, { second: chain(local(oja()), growing), '*': rest }));
    const before = values(model);
    expect(() => optimizer.minimize(lossOf(model, random([5, 4], 1)))).toThrow(
      expect.objectContaining({
        code: 'WRONG_SHAPE',
        message: expect.stringMatching(/second\/kernel.*\[2\].*\[1\]/),
      }),
    );
    expect(values(model)).toEqual(before);
  });
});
