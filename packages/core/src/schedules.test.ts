/** Linear, exponential and joined schedules: values, identities, specs, and bad arguments. */
import '@tensorflow/tfjs-backend-cpu';
import { expect, it } from 'vitest';
import { fromSpec } from './from-spec.js';
import { cosine, type Schedule } from './schedule.js';
import { exponential, join, linear, warmUp } from './schedules.js';
import { scaleBy } from './transform.js';

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

it.each([
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
