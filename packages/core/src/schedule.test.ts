import { describe, expect, it } from 'vitest';
import { checkHyperparameter, cosine, type Schedule, valueAt } from './schedule.js';

it('returns a number at every step, and the value of a schedule at its step', () => {
  expect(valueAt(0.5, 7)).toBe(0.5);
  expect(valueAt((step) => step * 2, 7)).toBe(14);
});

const noNumbers: readonly [unknown, string][] = [
  [undefined, 'undefined'],
  ['0.1', '"0.1"'],
  [null, 'null'],
  [true, 'true'],
  [1n, '1n'],
  [{}, '{}'],
  [[1], '[1]'],
  [() => 1, 'the function () => …'],
  [Promise.resolve(1), 'a promise'],
  [Number.NaN, 'NaN'],
  [Infinity, 'Infinity'],
  [-Infinity, '-Infinity'],
];

it.each(noNumbers)('rejects a schedule that returns %o, and names the step', (value, text) => {
  const schedule = () => value as number;
  const badValue = expect.objectContaining({ code: 'BAD_VALUE' });
  expect(() => valueAt(schedule, 7)).toThrow(badValue);
  expect(() => valueAt(schedule, 7)).toThrow(`A schedule at step 7 is ${text}.`);
  const rate = checkHyperparameter('rate', schedule);
  expect(() => valueAt(rate, 7)).toThrow(badValue);
  expect(() => valueAt(rate, 7)).toThrow(`rate at step 7 is ${text}.`);
});

it('rejects an asynchronous schedule, and handles its rejection', async () => {
  const schedule = async () => {
    throw new Error('late');
  };
  expect(() => valueAt(schedule as never, 7)).toThrow('A schedule at step 7 is a promise.');
  await new Promise((resolve) => setTimeout(resolve));
});

describe('checkHyperparameter', () => {
  it('returns a number in range, and rejects any other', () => {
    expect(checkHyperparameter('rate', 0, { least: 0 })).toBe(0);
    expect(() => checkHyperparameter('rate', -1, { least: 0 })).toThrow('rate is -1.');
  });

  it.each([
    [{ least: 0 }, 0, -1e-9, 'at least 0'],
    [{ above: 0 }, 1e-9, 0, 'above 0'],
    [{ most: 1 }, 1, 1.001, 'at most 1'],
    [{ below: 1 }, 0.999, 1, 'below 1'],
  ])('checks every value of a schedule for the range %j', (range, good, bad, words) => {
    const rate = checkHyperparameter('rate', (step: number) => (step < 5 ? good : bad), range);
    expect(valueAt(rate, 4)).toBe(good);
    expect(() => valueAt(rate, 5)).toThrow(expect.objectContaining({ name: 'ConfigurationError', code: 'BAD_VALUE' }));
    expect(() => valueAt(rate, 5)).toThrow(`rate at step 5 is ${bad}.\nhelp: give a finite number, ${words}.`);
  });

  it('keeps the spec of a schedule, and the source of a plain function', () => {
    expect((checkHyperparameter('rate', cosine(1, 5)) as Schedule).spec).toEqual(cosine(1, 5).spec);
    const plain = (step: number) => 1 / (1 + step);
    expect((checkHyperparameter('rate', plain) as Schedule).spec).toEqual({ name: 'function', args: [String(plain)] });
  });
});

describe('cosine', () => {
  it('is peak/2·(1 + cos(πt/steps)), from the peak at 0 to 0 at the end and after it', () => {
    const schedule = cosine(0.05, 200);
    expect(schedule(0)).toBe(0.05);
    expect(schedule(50)).toBeCloseTo(0.025 * (1 + Math.SQRT1_2), 12);
    expect(schedule(100)).toBeCloseTo(0.025, 12);
    expect(schedule(199)).toBeCloseTo(0.025 * (1 + Math.cos((Math.PI * 199) / 200)), 12);
    expect(schedule(200)).toBe(0);
    expect(schedule(1000)).toBe(0);
  });

  it('has a spec', () => expect(cosine(1e-2, 78200).spec).toEqual({ name: 'cosine', args: [1e-2, 78200] }));

  it.each([
    [Number.NaN, 10],
    [1, 0],
    [1, Number.POSITIVE_INFINITY],
    [() => 1, 10],
    [1, () => 10],
  ])('rejects cosine(%s, %s)', (peak, steps) => {
    expect(() => cosine(peak as number, steps as number)).toThrow(expect.objectContaining({ code: 'BAD_VALUE' }));
  });
});
