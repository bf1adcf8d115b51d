import { describe, expect, it } from 'vitest';
import { checkBoolean, checkChoice, checkNumber, checkOptions } from './checks.js';
import { constant } from './local-rule.js';
import type { GlobalModulator } from './modulator.js';
import { maxAbs } from './normalize.js';
import { chain, gradientDescent, local, threeFactor } from './plasticity.js';
import { specOf } from './spec.js';
import { scaleBy } from './transform.js';

const badValue = expect.objectContaining({ code: 'BAD_VALUE' });

describe('checkOptions', () => {
  it('accepts known names, and suggests the nearest name for an unknown one', () => {
    expect(() => checkOptions('swta', { temperature: 1 }, ['temperature'])).not.toThrow();
    const attempt = () => checkOptions('swta', { temprature: 1 }, ['temperature']);
    expect(attempt).toThrow(expect.objectContaining({ code: 'UNKNOWN_OPTION' }));
    expect(attempt).toThrow("swta has no option 'temprature'.\nhelp: did you mean 'temperature'? Known: temperature.");
  });

  it('ignores the name of the factory when it looks for the nearest name', () => {
    expect(() => checkOptions('batchNorm', { rate: 1 }, ['epsilon'])).toThrow('help: Known: epsilon.');
  });

  it.each([undefined, null, 0.5, 'soft', [1], () => 1])('rejects %s as options', (options) => {
    expect(() => checkOptions('swta', options, ['temperature'])).toThrow(badValue);
  });

  it('shows in the message how to give options', () => {
    expect(() => checkOptions('swta', 0.5, ['temperature'])).toThrow(
      'The options of swta are 0.5.\nhelp: give them by name: swta({ temperature: … }).',
    );
    expect(() => checkOptions('sign', 0.5, [])).toThrow('help: leave them out: there are none yet.');
  });
});

describe('checkNumber', () => {
  it('includes or excludes a bound, as its name says', () => {
    expect(() => checkNumber('rate', 0, { least: 0, most: 1 })).not.toThrow();
    expect(() => checkNumber('rate', 1, { least: 0, most: 1 })).not.toThrow();
    expect(() => checkNumber('temperature', 0, { above: 0 })).toThrow(
      'temperature is 0.\nhelp: give a finite number, above 0.',
    );
    expect(() => checkNumber('rate', 1.5, { least: 0, most: 1 })).toThrow(
      'rate is 1.5.\nhelp: give a finite number, at least 0 and at most 1.',
    );
    expect(() => checkNumber('rate', 1, { least: 0, below: 1 })).toThrow(
      'rate is 1.\nhelp: give a finite number, at least 0 and below 1.',
    );
    expect(() => checkNumber('rate', -1, { least: 0 })).toThrow(badValue);
  });

  it.each([Number.NaN, Number.NEGATIVE_INFINITY, '1', null, undefined, {}, () => 1])('rejects %s', (value) => {
    expect(() => checkNumber('rate', value)).toThrow(badValue);
  });
});

it('names the choices in the error of checkChoice', () => {
  expect(() => checkChoice('sign mode', 'flip', ['magnitude', 'flip'])).not.toThrow();
  expect(() => checkChoice('sign mode', 'flop', ['magnitude', 'flip'])).toThrow(
    `sign mode is "flop".\nhelp: give one of 'magnitude', 'flip'.`,
  );
});

it('rejects truthy values in checkBoolean', () => {
  expect(() => checkBoolean('bcm divide', true)).not.toThrow();
  for (const value of ['true', 1, 0, null, undefined]) {
    expect(() => checkBoolean('bcm divide', value)).toThrow(badValue);
  }
});

describe('a product', () => {
  const modulator: GlobalModulator = {
    spec: specOf('still'),
    actsOn: 'weights',
    reads: [],
    init: () => ({}),
    modulate: (increment, _signals, _context, state) => ({ increment, state }),
  };
  // Arguments that a caller without a compiler can pass.
  // biome-ignore lint/suspicious/noExplicitAny: everything here is of the wrong type, and that is the point
  const any = (value: unknown) => value as any;

  it.each<[string, () => unknown, string]>([
    ['no modulator', () => threeFactor(constant(), any(undefined)), 'The modulator of threeFactor is undefined.'],
    ['its factors swapped', () => threeFactor(any(modulator), any(constant())), 'The rule of threeFactor is still(…).'],
    [
      'an uncalled factory',
      () => threeFactor(any(constant), modulator),
      'The rule of threeFactor is the function const',
    ],
    ['no rule', () => local(any(undefined)), 'The rule of local is undefined.'],
    ['a modulator for a rule', () => local(any(modulator)), 'The rule of local is still(…).'],
    [
      'a wrapped product',
      () => maxAbs(any(threeFactor(constant(), modulator))),
      'The argument of maxAbs is threeFactor(…).',
    ],
    ['a rule for a head', () => chain(any(constant())), 'The head of chain is constant(…).'],
    ['an uncalled head', () => chain(any(gradientDescent)), 'The head of chain is the function gradientDescent.'],
    ['a bare number', () => chain(gradientDescent(), any(0.1)), 'Transform 1 of chain is 0.1.'],
    [
      'a second head',
      () => chain(gradientDescent(), scaleBy(1), any(gradientDescent())),
      'Transform 2 of chain is gradientDescent(…).',
    ],
  ])('rejects %s', (_, make, message) => {
    expect(make).toThrow(badValue);
    expect(make).toThrow(message);
  });
});
