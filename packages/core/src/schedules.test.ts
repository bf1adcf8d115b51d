/** Schedules and variables: values, identities, specs, and bad arguments. */
import '@tensorflow/tfjs-backend-cpu';
import { expect, it } from 'vitest';
import { fromSpec } from './from-spec.js';
import { chain } from './plasticity.js';
import { cosine, type Schedule } from './schedule.js';
import { exponential, join, linear, oneCycle, piecewise, variable, variablesIn, warmUp } from './schedules.js';
import { decayWeights, scaleBy } from './transform.js';

const values = (schedule: Schedule, count = 8) => Array.from({ length: count }, (_, t) => schedule(t));

it('falls in equal steps in linear, and by equal factors in exponential', () => {
  expect(values(linear(1, 0, 4))).toEqual([1, 0.75, 0.5, 0.25, 0, 0, 0, 0]);
  expect(values(linear(-1, 1, 2), 4)).toEqual([-1, 0, 1, 1]);
  expect(values(exponential(8, 0.5), 4)).toEqual([8, 4, 2, 1]);
});

it('starts each part of join at its own first update', () => {
  expect(values(join([3, 2, 1], [2, 5]))).toEqual([3, 3, 2, 2, 2, 1, 1, 1]);
  expect(values(join([linear(0, 4, 4), cosine(4, 3)], [4]))).toEqual([0, 1, 2, 3, ...values(cosine(4, 3), 4)]);
});

it('is the sum of its halves: linear joined at its middle is linear', () => {
  expect(values(join([linear(4, 2, 2), linear(2, 0, 2)], [2]))).toEqual(values(linear(4, 0, 4)));
});

it('rises to the first value of a schedule in warmUp, then follows it', () => {
  expect(values(warmUp(4, 2), 6)).toEqual([0.5, 1, 1.5, 2, 2, 2]);
  expect(values(warmUp(2, exponential(8, 0.5)), 5)).toEqual([4, 8, 8, 4, 2]);
});

it('multiplies by the factor at each boundary in piecewise, as join does with the products', () => {
  expect(values(piecewise(8, 0.5, [2, 3, 6]))).toEqual([8, 8, 4, 2, 2, 2, 1, 1]);
  expect(values(piecewise(8, 0.5, [2, 3, 6]))).toEqual(values(join([8, 4, 2, 1], [2, 3, 6])));
  expect(values(piecewise(8, 0.5, []), 2)).toEqual([8, 8]);
});

it('rises to the peak and falls to the end in oneCycle, as optax does', () => {
  // optax.cosine_onecycle_schedule(10, 1.0, pct_start=0.4, div_factor=4, final_div_factor=2)
  const start = 0.25;
  const rising = (t: number) => start + ((1 - start) * (1 - Math.cos((Math.PI * t) / 4))) / 2;
  const falling = (t: number) => 1 + ((start / 2 - 1) * (1 - Math.cos((Math.PI * (t - 4)) / 6))) / 2;
  const expected = Array.from({ length: 13 }, (_, t) => (t < 4 ? rising(t) : falling(Math.min(t, 10))));
  const actual = values(oneCycle(1, 10, { rise: 0.4, startDivisor: 4, endDivisor: 2 }), 13);
  for (const [t, value] of expected.entries()) expect(actual[t]).toBeCloseTo(value, 12);
  expect([actual[0], actual[4], actual[10], actual[12]]).toEqual([0.25, 1, 0.125, 0.125]);
  expect(oneCycle(5, 100)(30)).toBe(5);
  expect(oneCycle(5, 100)(0)).toBe(5 / 25);
  expect(oneCycle(5, 100)(100)).toBeCloseTo(5 / 25 / 1e4, 12);
});

it('returns the last value that was set from a variable, at every step', () => {
  const rate = variable(0.5);
  expect(values(rate, 2)).toEqual([0.5, 0.5]);
  rate.set(2);
  expect([rate.value, ...values(rate, 2)]).toEqual([2, 2, 2]);
  expect(values(join([rate, warmUp(2, rate)], [1]), 4)).toEqual([2, 1, 2, 2]);
});

it('has the present value of a variable in the spec of every product with it', () => {
  const rate = variable(0.5);
  const tail = chain(decayWeights(join([1, rate], [5])), scaleBy(warmUp(3, rate)));
  rate.set(0.25);
  expect(JSON.stringify(tail.spec).match(/0\.\d+/g)).toEqual(['0.25', '0.25']);
  expect(variablesIn(tail.spec)).toEqual([rate, rate]);
  const copy = fromSpec<typeof tail>(JSON.parse(JSON.stringify(tail.spec)));
  expect(variablesIn(copy.spec).map(({ value }) => value)).toEqual([0.25, 0.25]);
  rate.set(1);
  expect(variablesIn(copy.spec)[0]?.value).toBe(0.25);
});

it('rejects a value of a variable that is not a finite number, and keeps the one before', () => {
  const rate = variable(0.5);
  for (const bad of [Number.NaN, Number.POSITIVE_INFINITY, '1', undefined]) {
    expect(() => rate.set(bad as never)).toThrow(expect.objectContaining({ code: 'BAD_VALUE' }));
  }
  expect(rate.value).toBe(0.5);
});

it.each([
  piecewise(1, 0.1, [3, 5]),
  oneCycle(0.1, 10, { rise: 0.5 }),
  variable(0.25),
  linear(1, 0.5, 3),
  exponential(0.1, 0.9),
  join([0.5, cosine(1, 4), 0.25], [2, 6]),
  warmUp(3, join([1, linear(1, 0, 3)], [2])),
])('rebuilds $spec.name from its spec, also as an argument', (schedule) => {
  const rebuilt = fromSpec<Schedule>(JSON.parse(JSON.stringify(schedule.spec)));
  expect(values(rebuilt)).toEqual(values(schedule));
  expect(rebuilt.spec).toEqual(schedule.spec);
  const { spec } = scaleBy(schedule);
  expect(fromSpec<{ spec: unknown }>(JSON.parse(JSON.stringify(spec))).spec).toEqual(spec);
});

it.each<[string, () => unknown]>([
  ['linear from', () => linear(Number.NaN, 0, 1)],
  ['linear to', () => linear(0, Number.POSITIVE_INFINITY, 1)],
  ['linear steps', () => linear(1, 0, 0)],
  ['exponential start', () => exponential('1' as never, 1)],
  ['exponential rate', () => exponential(1, 0)],
  ['join got 2 parts and 0 boundaries', () => join([1, 2], [])],
  ['join got undefined parts', () => join(undefined as never, [])],
  ['join part 1', () => join([1, Number.NaN], [1])],
  ['join boundary 0 is 0.5', () => join([1, 2], [0.5])],
  ['join boundary 1 is 2', () => join([1, 2, 3], [2, 2])],
  ['piecewise start', () => piecewise(Number.NaN, 0.5, [1])],
  ['piecewise factor', () => piecewise(1, Number.POSITIVE_INFINITY, [1])],
  ['piecewise boundary 1 is 1', () => piecewise(1, 0.5, [1, 1])],
  ['piecewise boundaries is 3', () => piecewise(1, 0.5, 3 as never)],
  ['oneCycle peak', () => oneCycle(Number.NaN, 1)],
  ['oneCycle steps', () => oneCycle(1, 0)],
  ['oneCycle rise', () => oneCycle(1, 5, { rise: 1 })],
  ['oneCycle startDivisor', () => oneCycle(1, 5, { startDivisor: 0 })],
  ['oneCycle endDivisor', () => oneCycle(1, 5, { endDivisor: -1 })],
  ['variable', () => variable(Number.NaN)],
  ['warmUp steps', () => warmUp(0, 1)],
  ['warmUp schedule', () => warmUp(1, null as never)],
])('rejects a bad argument and names it: %s', (text, make) => {
  expect(make).toThrow(expect.objectContaining({ code: 'BAD_VALUE', summary: expect.stringContaining(text) }));
});

it('reports the step at which a part of join returns no number', () => {
  const bad = join([1, () => Number.NaN], [3]);
  expect(bad(2)).toBe(1);
  expect(() => bad(3)).toThrow(expect.objectContaining({ code: 'BAD_VALUE' }));
});
