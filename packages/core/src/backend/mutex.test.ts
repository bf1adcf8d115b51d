import { expect, it } from 'vitest';
import { mutex } from './mutex.js';

it('runs calls one at a time, in order, even after a failed call', async () => {
  const turn = mutex();
  const log: string[] = [];
  const step = (name: string, ms: number, fails = false) =>
    turn(async () => {
      log.push(`${name} starts`);
      await new Promise((resolve) => setTimeout(resolve, ms));
      log.push(`${name} ends`);
      if (fails) throw new Error(name);
      return name;
    });
  const results = await Promise.allSettled([step('a', 20), step('b', 5, true), step('c', 0)]);
  expect(log).toEqual(['a starts', 'a ends', 'b starts', 'b ends', 'c starts', 'c ends']);
  expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
  expect(await step('d', 0)).toBe('d');
});
