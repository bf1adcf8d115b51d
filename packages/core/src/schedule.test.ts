import { describe, expect, it } from 'vitest';
import { at, checkChoice, checkNumber, cosine } from './schedule.js';

it('a number is itself at every step, a schedule what it says', () => {
  expect(at(0.5, 7)).toBe(0.5);
  expect(at((step) => step * 2, 7)).toBe(14);
});

describe('cosine', () => {
  it('is peak/2·(1 + cos(πt/steps)), from the peak at 0 to 0 at the end, and stays there', () => {
    const schedule = cosine(0.05, 200);
    expect(schedule(0)).toBe(0.05);
    expect(schedule(50)).toBeCloseTo(0.025 * (1 + Math.SQRT1_2), 12);
    expect(schedule(100)).toBeCloseTo(0.025, 12);
    expect(schedule(199)).toBeCloseTo(0.025 * (1 + Math.cos((Math.PI * 199) / 200)), 12);
    expect(schedule(200)).toBe(0);
    expect(schedule(1000)).toBe(0);
  });

  it('carries its spec', () => expect(cosine(1e-2, 78200).spec).toEqual({ name: 'cosine', args: [1e-2, 78200] }));

  it.each([
    [Number.NaN, 10],
    [1, 0],
    [1, Number.POSITIVE_INFINITY],
  ])('refuses cosine(%d, %d)', (peak, steps) => {
    expect(() => cosine(peak, steps)).toThrow(expect.objectContaining({ code: 'BAD_VALUE' }));
  });
});

describe('checkNumber', () => {
  it('lets schedules pass, whose values it does not know', () => {
    expect(() => checkNumber('rate', () => Number.NaN, { least: 0 })).not.toThrow();
  });

  it('takes bounds as said', () => {
    expect(() => checkNumber('rate', 0, { least: 0, most: 1 })).not.toThrow();
    expect(() => checkNumber('rate', 1, { least: 0, most: 1 })).not.toThrow();
    expect(() => checkNumber('temperature', 0, { above: 0 })).toThrow(
      'temperature is 0.\nhelp: give a finite number, above 0.',
    );
    expect(() => checkNumber('rate', 1.5, { least: 0, most: 1 })).toThrow(
      'rate is 1.5.\nhelp: give a finite number, at least 0 and at most 1.',
    );
    expect(() => checkNumber('rate', -1, { least: 0 })).toThrow(expect.objectContaining({ code: 'BAD_VALUE' }));
  });

  it.each([Number.NaN, Number.NEGATIVE_INFINITY, '1', null, undefined, {}])('refuses %s', (value) => {
    expect(() => checkNumber('rate', value)).toThrow(expect.objectContaining({ code: 'BAD_VALUE' }));
  });
});

it('checkChoice names the choices', () => {
  expect(() => checkChoice('sign mode', 'flip', ['magnitude', 'flip'])).not.toThrow();
  expect(() => checkChoice('sign mode', 'flop', ['magnitude', 'flip'])).toThrow(
    `sign mode is "flop".\nhelp: give one of 'magnitude', 'flip'.`,
  );
});
