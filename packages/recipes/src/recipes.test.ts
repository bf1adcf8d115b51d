import { fromSpec, type Plasticity } from '@ghl/core';
import { type Assignment, plasticOptimizer } from '@ghl/learner';
import { networks } from '@ghl/models';
import { oja } from '@ghl/rule-oja';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import '@tensorflow/tfjs-backend-cpu';
import { beforeAll, describe, expect, it } from 'vitest';
import { factories, ghl, ghlUnit, parts, product, recipes, signPermuted } from './index.js';
import { byEpoch } from './recipe.js';

const constants = { step: 1e-2, decay: 5e-2, restStep: 5e-3 };
const specs = (assignment: Assignment) =>
  Object.fromEntries(Object.entries(assignment).map(([selector, updater]) => [selector, (updater as Plasticity).spec]));
const call = (name: string, ...args: unknown[]) => ({ name, args });

beforeAll(() => tf.setBackend('cpu'));

it('assigns GHL to each layer with a temperature, and gradient descent to all other weights', () => {
  expect(specs(ghl({ ...constants, temperatures: { a: 2 }, steps: 10 }))).toEqual({
    a: call(
      'chain',
      call('threeFactor', call('maxAbs', call('swta', { temperature: 2 })), call('sign', { mode: 'magnitude' })),
      call('decayWeights', 5e-2),
      call('scaleBy', call('cosine', 1e-2, 10)),
    ),
    '*': call('chain', call('gradientDescent'), call('scaleBy', call('cosine', 5e-3, 10))),
  });
});

it('keeps the order and the names of the recipes', () => {
  expect(Object.keys(recipes).slice(0, 5)).toEqual(['ghl', 'backprop', 'signOnly', 'signMatched', 'localOnly']);
  for (const [name, recipe] of Object.entries(recipes)) expect(recipe.name).toBe(name);
});

it('normalizes units in ghlUnit, and shuffles each layer by its own seed in signPermuted', () => {
  const options = { ...constants, temperatures: { a: 2, b: 3 }, steps: 10 };
  const heads = (assignment: Assignment) => Object.values(specs(assignment)).map((spec) => spec.args[0]);
  const ghlOf = (temperature: number) => call('maxAbs', call('swta', { temperature }));
  const third = call('sign', { mode: 'magnitude' });
  expect(heads(ghlUnit(options)).slice(0, 2)).toEqual(
    [2, 3].map((temperature) => call('threeFactor', call('normalizeUnits', ghlOf(temperature)), third)),
  );
  expect(heads(signPermuted(options)).slice(0, 2)).toEqual(
    [2, 3].map((temperature, i) => call('threeFactor', call('permuted', ghlOf(temperature), i), third)),
  );
});

it('makes a product of any rule, raw or wrapped in maxAbs', () => {
  const options = { ...constants, temperatures: { a: 2 }, steps: 10 };
  const head = (raw: boolean) => specs(product({ rule: oja(), modulator: null, raw })(options)).a?.args[0];
  expect(head(true)).toEqual(call('local', call('oja')));
  expect(head(false)).toEqual(call('local', call('maxAbs', call('oja'))));
});

describe('a model of any kind', () => {
  const model = () =>
    tfl.sequential({
      layers: [
        tfl.layers.dense({ name: 'hidden', units: 3, inputShape: [4], activation: 'relu' }),
        tfl.layers.dense({ name: 'out', units: 2, activation: 'softmax' }),
      ],
    });

  it('trains with a temperature for one of its layers', async () => {
    const net = model();
    const optimizer = plasticOptimizer(net, ghl({ ...constants, temperatures: { hidden: 1 }, steps: 4 }));
    net.compile({ optimizer, loss: 'categoricalCrossentropy' });
    const [x, y] = [tf.randomNormal([4, 4], 0, 1, 'float32', 1), tf.oneHot([0, 1, 0, 1], 2)];
    const before = (net.getLayer('hidden').getWeights()[0] as tf.Tensor).dataSync().slice();
    await net.trainOnBatch(x, y);
    const after = (net.getLayer('hidden').getWeights()[0] as tf.Tensor).dataSync();
    // The largest entry of ΔW is 1, so no weight moves further than η(1 + λ|w|).
    expect(Math.max(...after.map((weight, i) => Math.abs(weight - (before[i] as number))))).toBeCloseTo(1e-2, 3);
    tf.dispose([x, y]);
    optimizer.dispose();
    net.dispose();
  });

  it('throws when the optimizer binds a layer that the temperatures misspell', () => {
    const net = model();
    expect(() => plasticOptimizer(net, ghl({ ...constants, temperatures: { hiden: 1 }, steps: 4 }))).toThrow(
      expect.objectContaining({ code: 'UNKNOWN_LAYER', help: expect.stringContaining("'hidden'") }),
    );
    net.dispose();
  });

  it('throws if no layer has a temperature', () => {
    expect(() => ghl({ ...constants, temperatures: {}, steps: 4 })).toThrow(
      expect.objectContaining({ code: 'BAD_VALUE', summary: 'ghl temperatures is {}.' }),
    );
  });
});

describe.each(Object.values(recipes).filter((recipe) => 'assign' in recipe))('$name', ({ assign }) => {
  it.each(Object.values(networks))('can be rebuilt from its spec with the constants of $id', ({ constants }) => {
    for (const spec of Object.values(specs(assign({ ...constants, steps: 10 })))) {
      expect(fromSpec<Plasticity>(spec, factories).spec).toEqual(spec);
    }
  });
});

const protocols = Object.values(recipes).flatMap((recipe) => ('protocol' in recipe ? [recipe] : []));

it.each(protocols)('each phase of $name can be rebuilt from its spec', ({ protocol }) => {
  const { constants } = networks['fasthebb-small'];
  for (const { assign, epochs } of protocol.phases) {
    const moving = Object.values(assign({ ...constants, epochs, steps: 10 * epochs })).filter((each) => each !== null);
    for (const { spec } of moving as Plasticity[]) expect(fromSpec<Plasticity>(spec, factories).spec).toEqual(spec);
  }
});

const convolutions = (count: number) => Array.from({ length: count }, (_, i) => `conv${i + 1}`);
const norms = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => `bn${from + i}`);

it.each([
  [
    'hpcaFastHebb',
    'fasthebb-small',
    [
      [...convolutions(4), 'fc5'],
      ['bn5', 'classifier'],
    ],
  ],
  [
    'swtaFastHebb',
    'fasthebb-small',
    [
      [...convolutions(4), 'fc5'],
      ['bn5', 'classifier'],
    ],
  ],
  ['softHebb', 'deephebb-small', [convolutions(3), ['classifier']]],
  ['hwtaBcm', 'deephebb-small', [convolutions(3), ['classifier']]],
  ['krotovHopfield', 'one-hidden-small', [['hidden'], ['classifier']]],
  ['hah', 'hah-vgg16-small', [[...convolutions(13), ...norms(7, 13), 'classifier']]],
] as const)('the phases of %s on %s move the weights of these layers only: %j', async (name, id, expected) => {
  const { protocol } = protocols.find((recipe) => recipe.name === name) as (typeof protocols)[number];
  const { build, constants } = networks[id];
  const model = build({ seed: 1, ...protocol.network });
  const weights = () =>
    model.layers.flatMap((layer) =>
      layer.trainableWeights.map((weight) => [layer.name, weight.read().dataSync().slice()] as const),
    );
  // Small numbers, so that the output does not saturate, where the gradient is 0.
  const shape = (model.inputs[0] as tfl.SymbolicTensor).shape.slice(1) as number[];
  const x = tf.randomUniform([4, ...shape], 0, 0.01, 'float32', 1);
  const y = tf.oneHot([0, 3, 6, 9], 10);
  const actual: string[][] = [];
  for (const { assign, epochs } of protocol.phases) {
    const optimizer = plasticOptimizer(model, assign({ ...constants, epochs, steps: epochs }));
    const before = weights();
    optimizer.minimize(() =>
      tf.tidy(() => tf.losses.meanSquaredError(y, model.apply(x, { training: true }) as tf.Tensor) as tf.Scalar),
    );
    const after = weights();
    const moved = after.filter(([, values], i) => values.some((value, j) => value !== before[i]?.[1][j]));
    actual.push([...new Set(moved.map(([layer]) => layer))].sort());
    expect(after.every(([, values]) => values.every(Number.isFinite))).toBe(true);
    optimizer.dispose();
  }
  expect(actual).toEqual(expected.map((layers) => [...layers].sort()));
  tf.dispose([x, y]);
  model.dispose();
});

describe('byEpoch', () => {
  const step = (epochs: number, steps: number) =>
    byEpoch({ epochs, steps }, (epoch, all) => (2 * epoch < all ? 1 : 0.5));

  it('is constant within an epoch, and changes at the first step of the next', () => {
    const halved = step(4, 40);
    expect([0, 19, 20, 39].map((at) => halved(at))).toEqual([1, 1, 0.5, 0.5]);
  });

  it('is one number in a phase of one epoch', () => {
    expect([0, 9].map((at) => step(1, 10)(at))).toEqual([1, 1]);
  });
});

it('lists each part once', () => {
  expect(Object.keys(factories)).toEqual(parts.map(({ name }) => name));
});
