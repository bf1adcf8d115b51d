/** A schedule that leaves the range of its hyperparameter stops a step, names both and moves nothing. */
import '@tensorflow/tfjs-backend-cpu';
import {
  chain,
  cosine,
  decayWeights,
  gradientDescent,
  type Hyperparameter,
  type LocalRule,
  local,
  maxAbs,
  type Plasticity,
  scaleBy,
  threeFactor,
} from '@ghl/core';
import { gate } from '@ghl/modulator-gate';
import { scalar } from '@ghl/modulator-scalar';
import { sign } from '@ghl/modulator-sign';
import { bcm } from '@ghl/rule-bcm';
import { swta } from '@ghl/rule-swta';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { beforeAll, describe, expect, it } from 'vitest';
import { type PlasticOptimizer, plasticOptimizer } from './index.js';
import { lossOf, own, ownTf, random, values } from './model.fixture.js';

beforeAll(async () => {
  await tf.setBackend('cpu');
});

const net = () =>
  own(
    tfl.sequential({
      layers: [
        tfl.layers.dense({ name: 'first', units: 3, inputShape: [3], activation: 'tanh' }),
        tfl.layers.dense({ name: 'hidden', units: 3, activation: 'tanh' }),
        tfl.layers.dense({ name: 'out', units: 2 }),
      ],
    }),
  );

const stepped = (rule: LocalRule) => chain(local(maxAbs(rule)), scaleBy(0.1));

/** Each hyperparameter: its name, its user, a number in its range, and numbers outside. */
const hyperparameters: readonly [string, (value: Hyperparameter) => Plasticity, number, readonly number[]][] = [
  ['swta temperature', (value) => stepped(swta({ temperature: value })), 1, [0, -0.01]],
  ['bcm rate', (value) => stepped(bcm({ rate: value })), 0.1, [-0.1, 1.1]],
  ['gate threshold', (value) => threeFactor(swta(), gate({ on: 'loss', threshold: value })), 0.1, []],
  ['gate width', (value) => threeFactor(swta(), gate({ on: 'loss', threshold: 0.1, width: value })), 0.1, [-0.1]],
  ['scalar baseline', (value) => threeFactor(swta(), scalar({ on: 'loss', baseline: value })), 0.9, [-0.1, 1.1]],
  ['scaleBy', (value) => chain(gradientDescent(), scaleBy(value)), 0.1, []],
  ['decayWeights', (value) => chain(threeFactor(maxAbs(swta()), sign()), decayWeights(value), scaleBy(0.1)), 0.1, []],
];

const cases = hyperparameters.flatMap(([name, make, good, outside]) =>
  [...outside, Number.NaN, Infinity, -Infinity, '0.5', undefined, Promise.resolve(good)].map(
    (bad) => [name, bad, make, good] as const,
  ),
);

async function stateOf(optimizer: PlasticOptimizer): Promise<unknown> {
  return (await optimizer.getWeights()).map(({ name, tensor }) => [name, [...tensor.dataSync()]]);
}

describe('a schedule that leaves its range', () => {
  it.each(cases)('stops a step of %s before anything moves: %s', async (name, bad, make, good) => {
    const model = net();
    const optimizer = own(
      plasticOptimizer(model, {
        first: stepped(bcm()),
        'hidden/kernel': make((step) => (step === 2 ? (bad as number) : good)),
        out: ownTf(tf.train.adam(0.1)),
        '*': chain(gradientDescent(), scaleBy(0.1)),
      }),
    );
    const f = lossOf(model, random([4, 3], 1));
    optimizer.minimize(f);
    optimizer.minimize(f);
    const before = [values(model), await stateOf(optimizer)];
    expect(() => optimizer.minimize(f)).toThrow(
      expect.objectContaining({
        name: 'ConfigurationError',
        code: 'BAD_VALUE',
        message: expect.stringContaining(`${name} at step 2 is `),
      }),
    );
    expect([values(model), await stateOf(optimizer)]).toEqual(before);
    expect(optimizer.step).toBe(2);
    await optimizer.checkFinite();
  });

  it('names the temperature, not the step size, when it cools a competition to 0', () => {
    const model = net();
    const optimizer = own(
      plasticOptimizer(model, {
        first: chain(threeFactor(maxAbs(swta({ temperature: cosine(1, 3) })), sign()), scaleBy(0.1)),
        '*': chain(gradientDescent(), scaleBy(0.1)),
      }),
    );
    const f = lossOf(model, random([4, 3], 1));
    for (let step = 0; step < 3; step++) optimizer.minimize(f);
    expect(() => optimizer.minimize(f)).toThrow(
      expect.objectContaining({
        code: 'BAD_VALUE',
        message: expect.stringMatching('swta temperature at step 3 is 0.'),
      }),
    );
    expect(optimizer.step).toBe(3);
  });
});
