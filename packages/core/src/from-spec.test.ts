import { describe, expect, it } from 'vitest';
import { currentSpec, fromSpec } from './from-spec.js';
import { constant, type LocalRule, ruleName } from './local-rule.js';
import { maxAbs, rms } from './normalize.js';
import { chain, gradientDescent, local, type Plasticity, sgd, threeFactor } from './plasticity.js';
import { cosine } from './schedule.js';
import { isSpec, type Spec, type Specified, specOf } from './spec.js';
import { decayWeights, scaleBy } from './transform.js';

const rule = (options: { temperature?: unknown } = {}): LocalRule => ({ ...constant(), spec: specOf('rule', options) });
const modulator = () => ({
  spec: specOf('modulator'),
  actsOn: 'weights' as const,
  reads: ['gradient' as const],
  init: () => ({}),
  modulate: () => {
    throw new Error('never called');
  },
});
const plugins = { rule, modulator };
const throughJson = (product: Specified) => JSON.parse(JSON.stringify(product.spec)) as Spec;

describe('fromSpec', () => {
  it.each<[name: string, product: Specified]>([
    ['gradient', gradientDescent()],
    ['constant', local(constant())],
    ['a rule in wrappers', local(rms(maxAbs(rule({ temperature: 4 }))))],
    ['a product of three factors', threeFactor(maxAbs(rule()), modulator())],
    ['a chain', chain(threeFactor(rule(), modulator()), decayWeights(5e-2), scaleBy(cosine(1e-2, 100)))],
    ['a chain in a chain', chain(chain(gradientDescent(), scaleBy(2)), scaleBy(3))],
    ['an option that is a schedule', local(rule({ temperature: cosine(1, 10) }))],
  ])('rebuilds %s', (_, product) => {
    const rebuilt = fromSpec<Plasticity>(throughJson(product), plugins);
    expect(rebuilt.spec).toEqual(product.spec);
    expect(rebuilt.reads).toEqual((product as Plasticity).reads);
    expect(rebuilt.transforms.map(({ spec }) => spec)).toEqual(
      (product as Plasticity).transforms.map(({ spec }) => spec),
    );
    expect(rebuilt.rule?.wrappers?.map(({ spec }) => spec)).toEqual(
      (product as Plasticity).rule?.wrappers?.map(({ spec }) => spec),
    );
  });

  it('rebuilds a schedule with its values', () => {
    const schedule = fromSpec<(step: number) => number>(throughJson(cosine(0.1, 10)));
    expect([0, 5, 10].map(schedule)).toEqual([0, 5, 10].map(cosine(0.1, 10)));
  });
});

it('rejects an unknown name, and suggests the nearest', () => {
  const attempt = () => fromSpec({ name: 'rul', args: [] }, plugins);
  expect(attempt).toThrow(expect.objectContaining({ code: 'UNKNOWN_FACTORY' }));
  expect(attempt).toThrow("did you mean 'rule'?");
});

it.each(['toString', '__proto__', 'constructor'])(
  'does not take the property %s of an object for a factory',
  (name) => {
    expect(() => fromSpec({ name, args: [] })).toThrow(expect.objectContaining({ code: 'UNKNOWN_FACTORY' }));
  },
);

it('rejects a plain function, of which the spec has only the source', () => {
  const product = scaleBy((step) => 1 / (1 + step));
  expect(() => fromSpec(throughJson(product))).toThrow(expect.objectContaining({ code: 'UNNAMED_FUNCTION' }));
  expect(() => fromSpec(throughJson(product))).toThrow('1 / (1 + step)');
});

it.each([undefined, null, 'swta', { name: 'swta' }, {}])('rejects %j, which is not a spec', (spec) => {
  expect(() => fromSpec(spec as never)).toThrow(expect.objectContaining({ code: 'BAD_SPEC' }));
});

it('rethrows the error of a factory', () => {
  expect(() => fromSpec({ name: 'cosine', args: [1, 0] })).toThrow(expect.objectContaining({ code: 'BAD_VALUE' }));
});

it('does not take a record of options for a spec', () => {
  expect(isSpec({ name: 'rule', args: [] })).toBe(true);
  expect(isSpec({ name: 'rule' })).toBe(false);
  expect(isSpec({ name: 'rule', args: [], more: 1 })).toBe(false);
  expect(isSpec(null)).toBe(false);
  expect(isSpec([])).toBe(false);
});

it('omits absent options from the spec', () => {
  expect(specOf('rule', { temperature: undefined, rate: 1 })).toEqual({ name: 'rule', args: [{ rate: 1 }] });
});

it('keeps the name of a rule inside wrappers', () => expect(ruleName(rms(maxAbs(rule())))).toBe('rule'));

it('builds gradient descent from a spec that was recorded when it was called gradient', () => {
  const spec = {
    name: 'chain',
    args: [
      { name: 'gradient', args: [] },
      { name: 'scaleBy', args: [0.1] },
    ],
  };
  expect(fromSpec<Plasticity>(spec).spec).toEqual(chain(gradientDescent(), scaleBy(0.1)).spec);
  expect(currentSpec({ '*': spec })).toEqual({ '*': sgd(0.1).spec });
});

it('builds with the factory of a plugin that has a former name of the core', () => {
  const gradient = () => local({ ...constant(), spec: specOf('gradient') });
  expect(fromSpec({ name: 'gradient', args: [] }, { gradient })).toHaveProperty('spec', gradient().spec);
});
