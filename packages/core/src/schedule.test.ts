import { describe, expect, it } from 'vitest';
import { at, cosine } from './schedule.js';

it('a number is itself at every step, a schedule what it says', () => {
  expect(at(0.5, 7)).toBe(0.5);
  expect(at((step) => step * 2, 7)).toBe(14);
});

it.each([undefined, '0.1', null])('refuses the schedule that gives %j, with its step', (value) => {
  const schedule = () => value as unknown as number;
  expect(() => at(schedule, 7)).toThrow(expect.objectContaining({ code: 'BAD_VALUE' }));
  expect(() => at(schedule, 7)).toThrow(`A schedule gave ${value} at step 7.`);
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
    [() => 1, 10],
    [1, () => 10],
  ])('refuses cosine(%s, %s)', (peak, steps) => {
    expect(() => cosine(peak as number, steps as number)).toThrow(expect.objectContaining({ code: 'BAD_VALUE' }));
  });
});
