import type { Plasticity } from '@ghl/core';
import type { Updater } from '@ghl/learner';
import { describe, expect, it } from 'vitest';
import { learningRates } from './learning-rates.js';
import type { PlannedRecipe } from './plan.js';
import { assignmentOf, modulatorNames, ruleNames } from './recipe.js';

const custom = (rule: string, modulator: string | null, options: Partial<PlannedRecipe['custom']> = {}) => ({
  name: 'custom',
  custom: { rule, modulator, ruleOptions: {}, modulatorOptions: {}, raw: false, ...options },
});

const specOf = (mover: Updater | undefined) => JSON.stringify((mover as Plasticity).spec);

describe('any rule × modulator', () => {
  for (const rule of ruleNames) {
    for (const modulator of [...modulatorNames, null]) {
      const senseless = rule === 'constant' && modulator !== 'sign';
      it(`${rule} × ${modulator ?? 'nothing'} is ${senseless ? 'refused with the reason' : 'an assignment'}`, () => {
        const build = () => assignmentOf(custom(rule, modulator), 'fasthebb-small', 10);
        if (!senseless) return expect(Object.keys(build())).toContain('*');
        expect(build).toThrow(
          expect.objectContaining({ code: 'SENSELESS_PAIR', message: expect.stringContaining('same way') }),
        );
      });
    }
  }

  it('is wrapped in maxAbs unless raw, with the temperature of the layer unless another is given', () => {
    const conv3 = (recipe: PlannedRecipe) => specOf(assignmentOf(recipe, 'deephebb', 10).conv3);
    expect(conv3(custom('swta', 'sign'))).toContain(
      '{"name":"maxAbs","args":[{"name":"swta","args":[{"temperature":4}]}]}',
    );
    expect(conv3(custom('swta', 'sign', { raw: true }))).not.toContain('maxAbs');
    expect(conv3(custom('swta', 'sign', { ruleOptions: { temperature: 2 } }))).toContain('{"temperature":2}');
  });

  it.each([
    [custom('swat', 'sign'), 'UNKNOWN_RULE', "'swta'"],
    [custom('swta', 'sing'), 'UNKNOWN_MODULATOR', "'sign'"],
    [custom('swta', 'sign', { ruleOptions: { temprature: 1 } }), 'UNKNOWN_OPTION', 'temperature'],
    [custom('oja', 'sign', { ruleOptions: { temperature: 1 } }), 'UNKNOWN_OPTION', 'none'],
    [custom('swta', 'sign', { modulatorOptions: { mode: 'flop' } }), 'BAD_VALUE', "'flip'"],
    [{ name: 'gh' }, 'UNKNOWN_RECIPE', "'ghl'"],
  ])('rejects %j with %s', (recipe, code, help) => {
    expect(() => assignmentOf(recipe, 'fasthebb-small', 10)).toThrow(
      expect.objectContaining({ code, help: expect.stringContaining(help) }),
    );
  });
});

it('has step sizes that follow the cosine', () => {
  const spec = Object.fromEntries(
    Object.entries(assignmentOf({ name: 'ghl' }, 'fasthebb', 100)).map(([label, mover]) => [
      label,
      JSON.parse(specOf(mover)),
    ]),
  );
  expect(learningRates(spec, 0)).toMatchObject({ conv1: 5e-2, '*': 1e-4 });
  expect(learningRates(spec, 50).conv4).toBeCloseTo(2.5e-2, 12);
  expect(learningRates(spec, 100)['*']).toBeCloseTo(0, 12);
});
