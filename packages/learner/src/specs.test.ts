/** Every rule and modulator of this project is rebuilt from its spec, with values other than the defaults. */
import '@tensorflow/tfjs-backend-cpu';
import { specCases } from '@ghl/conformance';
import {
  chain,
  cosine,
  type Factory,
  gradientDescent,
  type LocalRule,
  local,
  maxAbs,
  presynaptic,
  type Specified,
  scaleBy,
  sum,
  threeFactor,
} from '@ghl/core';
import { specOf, wrap } from '@ghl/core/plugin';
import { gate } from '@ghl/modulator-gate';
import { scalar } from '@ghl/modulator-scalar';
import { sign } from '@ghl/modulator-sign';
import { bcm } from '@ghl/rule-bcm';
import { hpca } from '@ghl/rule-hpca';
import { oja } from '@ghl/rule-oja';
import { swta } from '@ghl/rule-swta';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { beforeAll, describe, expect, it } from 'vitest';
import { plasticOptimizer, register } from './index.js';
import { lossOf, own, random, saved, values } from './model.fixture.js';

beforeAll(async () => {
  await tf.setBackend('cpu');
});

const plugins: Readonly<Record<string, Factory>> = { bcm, gate, hpca, oja, scalar, sign, swta };

/** Options that differ from the defaults. Each option appears at least once. */
const options: Readonly<Record<string, readonly Readonly<Record<string, unknown>>[]>> = {
  bcm: [
    {},
    { rate: 0.3 },
    { rate: cosine(0.5, 4) },
    { theta: -0.5 },
    { divide: true },
    { rate: 0, theta: 2, divide: true },
  ],
  gate: [
    { on: 'gradient', threshold: 0.1 },
    { on: 'reward', threshold: 0.1 },
    { on: 'loss', threshold: cosine(1.2, 5) },
    { on: 'surprise', threshold: 0.05 },
    { on: 'gradient', threshold: 0.1, width: 0.2 },
    { on: 'gradient', threshold: 0.1, width: cosine(0.5, 5) },
    { on: 'gradient', threshold: 0.1, per: 'unit' },
    { on: 'gradient', threshold: 0.1, per: 'layer', width: 0.3 },
  ],
  hpca: [{}, { activation: 'relu' }, { scaleByFanIn: true }, { activation: 'relu', scaleByFanIn: true }],
  oja: [{}],
  scalar: [
    {},
    { on: 'loss' },
    { on: 'lossDifference' },
    { baseline: 0.5 },
    { baseline: cosine(0.9, 4) },
    { per: 'example' },
    { per: 'example', baseline: 0.2 },
  ],
  sign: [{}, { mode: 'flip' }, { momentum: [0.5, 0.8] }, { mode: 'flip', momentum: [0, 0.5] }],
  swta: [{}, { temperature: 0.3 }, { temperature: cosine(2, 50) }],
};

/** The option names of a factory, as its error for an unknown option lists them. */
function optionsOf(factory: Factory): string[] {
  if (factory === oja) return []; // takes no arguments
  try {
    factory({ unknownToAll: 1 });
  } catch (error) {
    return /Known: (.*)\./.exec((error as Error).message)?.[1]?.split(', ') ?? [];
  }
  throw new Error(`${factory.name} takes any option.`);
}

const named = (name: string) =>
  Object.fromEntries(
    (options[name] ?? []).map((each) => [
      `${name}(${JSON.stringify(each)})`,
      () => (Object.keys(each).length > 0 ? (plugins[name] as Factory)(each) : (plugins[name] as Factory)()),
    ]),
  );

describe.each(Object.keys(plugins))('%s', (name) => {
  it('is tested with each of its options', () => {
    const tried = new Set((options[name] ?? []).flatMap((each) => Object.keys(each)));
    expect([...tried].sort()).toEqual(optionsOf(plugins[name] as Factory).sort());
  });

  for (const { title, run } of specCases(named(name), plugins)) it(`is rebuilt with its options: ${title}`, run);
});

it('a custom wrapper is saved with a model, including its arguments', async () => {
  const trace = (rule: LocalRule, decay = 0.9) =>
    wrap(
      rule,
      'trace',
      {
        spec: specOf('trace'),
        linear: false,
        init: (shape) => ({ mean: tf.zeros([...shape]) }),
        wrap(eligibility, _, { mean }) {
          const next = tf.add(tf.mul(mean, decay), tf.mul(eligibility, 1 - decay));
          return { apply: () => next, state: { mean: next } };
        },
      },
      decay,
    );
  register({ oja, trace });
  const model = own(tfl.sequential({ layers: [tfl.layers.dense({ units: 2, useBias: false, inputShape: [3] })] }));
  const optimizer = own(plasticOptimizer(model, { '*': chain(local(trace(oja(), 0.5)), scaleBy(0.1)) }));
  model.compile({ optimizer, loss: 'meanSquaredError' });
  const loaded = own(await tfl.loadLayersModel(tf.io.fromMemory(await saved(model))));
  own(loaded.optimizer);
  for (const each of [model, loaded]) {
    for (const seed of [1, 2, 3]) each.optimizer.minimize(lossOf(each, random([4, 3], seed)));
  }
  expect(values(loaded)).toEqual(values(model));
  expect(JSON.stringify(optimizer.spec)).toContain('{"name":"trace","args":[{"name":"oja","args":[]},0.5]}');
});

describe('products of rules and modulators', () => {
  const rules = ['bcm', 'hpca', 'oja', 'swta'].flatMap((name) => Object.entries(named(name)));
  const modulators = ['gate', 'scalar', 'sign'].flatMap((name) => Object.entries(named(name)));
  const products: Record<string, () => Specified> = {
    sum: () => sum(gradientDescent(), chain(local(presynaptic()), scaleBy(0.5))),
    'sum in a sum': () => chain(sum(sum(gradientDescent()), local(maxAbs(oja()))), scaleBy(0.1)),
  };
  for (const [i, [rule, makeRule]] of rules.entries()) {
    const [modulator, makeModulator] = modulators[i % modulators.length] as (typeof modulators)[number];
    products[`${rule} × ${modulator}`] = () =>
      chain(threeFactor(maxAbs(makeRule() as LocalRule), makeModulator() as never), scaleBy(cosine(0.1, 9)));
  }
  for (const { title, run } of specCases(products, plugins)) it(title, run);
});
