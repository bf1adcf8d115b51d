/** Every option of every factory refuses what makes no sense, as a coded error and before anything is built. */

import { cosine, decayWeights, fromSpec, type Specified, scaleBy } from '@ghl/core';
import {
  batchNorm,
  deepHebbSmall,
  divisiveNorm,
  dropout,
  fastHebbSmall,
  hahVgg16Small,
  ibHebbSmall,
  layerNorm,
  oneHiddenSmall,
  powerLoss,
  reflectionPad2d,
  repu,
  topFraction,
  triangle,
} from '@ghl/models';
import { gate } from '@ghl/modulator-gate';
import { scalar } from '@ghl/modulator-scalar';
import { sign } from '@ghl/modulator-sign';
import { factories as byName, ghl, parts, recipes } from '@ghl/recipes';
import { bcm } from '@ghl/rule-bcm';
import { hpca } from '@ghl/rule-hpca';
import { swta } from '@ghl/rule-swta';
import { describe, expect, it } from 'vitest';

const nonsense = [Number.NaN, Number.POSITIVE_INFINITY, '0.5', null, [], {}, true];
const noNumber = [...nonsense, -1];
const noConstant = [...noNumber, () => 1];
const noWord = [Number.NaN, 0, 'magnitud', null, [], {}, true, () => 'linear'];
const noBoolean = [0, 1, 'true', null, [], {}, () => true];

// biome-ignore lint/suspicious/noExplicitAny: what a caller without a compiler can hand in
type Make = (options: any) => unknown;

const onePhase = Object.values(recipes).filter((recipe) => 'assign' in recipe);

const factories: [name: string, make: Make, required: object, wrong: Record<string, readonly unknown[]>][] = [
  ['swta', swta, {}, { temperature: [...noNumber, 0] }],
  ['bcm', bcm, {}, { rate: [...noNumber, 1.1], theta: [...nonsense, () => 1], divide: noBoolean }],
  ['hpca', hpca, {}, { activation: noWord, scaleByFanIn: noBoolean }],
  ['sign', sign, {}, { mode: noWord }],
  ['gate', gate, { on: 'loss', threshold: 1 }, { on: noWord, threshold: nonsense, width: noNumber, per: noWord }],
  ['scalar', scalar, {}, { on: noWord, baseline: [...noNumber, 1.1], per: noWord }],
  ['dropout', dropout, { rate: 0.5, seed: 1 }, { rate: [...noConstant, 1], seed: [...nonsense, 0.5, () => 1] }],
  ['triangle', triangle, {}, { power: [...noConstant, 0] }],
  ['repu', repu, {}, { power: [...noConstant, 0] }],
  ['powerLoss', powerLoss, {}, { power: [...noConstant, 0] }],
  ['layerNorm', layerNorm, {}, { epsilon: [...noConstant, 0] }],
  ['divisiveNorm', divisiveNorm, {}, { sigma: [...noConstant, 1.1] }],
  ['topFraction', topFraction, {}, { fraction: [...noConstant, 0, 1.1] }],
  ['reflectionPad2d', reflectionPad2d, { padding: 1 }, { padding: [...noConstant, 0, 1.5] }],
  [
    'batchNorm',
    batchNorm,
    {},
    { epsilon: [...noConstant, 0], momentum: [...noConstant, 1.1], center: noBoolean, scale: noBoolean },
  ],
  ...[deepHebbSmall, fastHebbSmall, ibHebbSmall, hahVgg16Small, oneHiddenSmall].map(
    (network): (typeof factories)[number] => [
      network.name,
      network,
      {},
      {
        inputShape: [...noConstant, [32, 32], [32, 32, 0], [32, 32, 1.5]],
        classes: [...noConstant, 0, 1, 2.5],
        seed: [...nonsense, 0.5, () => 1],
      },
    ],
  ),
  ...[deepHebbSmall, fastHebbSmall].map((network): (typeof factories)[number] => [
    `variants of ${network.name}`,
    network,
    {},
    {
      activation: noWord,
      padding: noWord,
      radius: [...noConstant, 0],
      dropout: [...noConstant, 1],
      classifier: noWord,
      logits: noBoolean,
    },
  ]),
  ['oneHiddenSmall', oneHiddenSmall, {}, { power: [...noConstant, 0], beta: [...noConstant, 0], output: noWord }],
  ...onePhase.map(({ name, assign }): (typeof factories)[number] => [
    name,
    assign,
    { temperatures: { conv: 1 }, step: 0.01, decay: 0.05, restStep: 0.01, steps: 10 },
    {
      temperatures: [...noConstant, { conv: 0 }, { conv: undefined }, { conv: '1' }],
      step: noConstant,
      decay: noConstant,
      restStep: noConstant,
      steps: [...noConstant, 0],
    },
  ]),
];

const refusal = expect.objectContaining({ name: 'ConfigurationError', code: 'BAD_VALUE', help: expect.any(String) });

describe.each(factories)('%s', (_, make, required, wrong) => {
  it.each(Object.keys(wrong))('rejects every invalid value of %s', (option) => {
    for (const value of wrong[option] as readonly unknown[]) {
      expect(() => make({ ...required, [option]: value }), String(value)).toThrow(refusal);
    }
  });

  it('rejects options that are not a record', () => {
    for (const options of [null, 0.5, 'x', [], () => ({})])
      expect(() => make(options), String(options)).toThrow(refusal);
  });

  it('rejects an unknown option', () => {
    const unknown = expect.objectContaining({ name: 'ConfigurationError', code: 'UNKNOWN_OPTION' });
    expect(() => make({ ...required, [`${Object.keys(wrong)[0]}s`]: 1 })).toThrow(unknown);
  });
});

/** Values that no option of any part accepts. */
const senseless = [Number.NaN, Number.POSITIVE_INFINITY, 'no such word', null, [], {}];

/** The options of a product, from its spec: defaults included. */
const optionsOf = ({ spec }: Specified): string[] => Object.keys(spec.args[0] ?? {});

describe.each(parts.map((part) => [part.name, part] as const))('%s', (_, { make, examples }) => {
  it('makes each of its examples', () => {
    expect(examples.length).toBeGreaterThan(0);
    for (const args of examples)
      expect(fromSpec<Specified>(make(...args).spec, byName).spec).toEqual(make(...args).spec);
  });

  it('rejects invalid values of every option', () => {
    for (const args of examples) {
      for (const option of optionsOf(make(...args))) {
        for (const value of senseless) {
          const options = { ...(args[0] as object | undefined), [option]: value };
          expect(() => make(options), `${option}: ${String(value)}`).toThrow(refusal);
        }
      }
    }
  });

  it('rejects an unknown option', () => {
    for (const args of examples) {
      if (optionsOf(make(...args)).length === 0) continue;
      expect(() => make({ ...(args[0] as object | undefined), optoin: 1 })).toThrow(
        expect.objectContaining({ code: 'UNKNOWN_OPTION' }),
      );
    }
  });
});

it('names the layer whose temperature a recipe rejects', () => {
  const options = { temperatures: { conv1: 1, conv2: -1 }, step: 0.01, decay: 0, restStep: 0.01, steps: 10 };
  expect(() => ghl(options)).toThrow("ghl temperatures of layer 'conv2' is -1.");
});

it('rejects a gate and a dropout without their required options', () => {
  expect(() => (gate as Make)(undefined)).toThrow(refusal);
  expect(() => (gate as Make)({ on: 'loss' })).toThrow(refusal);
  expect(() => (dropout as Make)(undefined)).toThrow(refusal);
  expect(() => (dropout as Make)({ rate: 0.5 })).toThrow(refusal);
});

it.each(nonsense)('takes %s for no step size, decay or schedule', (value) => {
  for (const make of [scaleBy, decayWeights, (peak: number) => cosine(peak, 10), (steps: number) => cosine(1, steps)]) {
    expect(() => make(value as number)).toThrow(refusal);
  }
});
