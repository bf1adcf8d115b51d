import { expect, it } from 'vitest';
import { shimNodeUtil } from './node-util-shim.js';

it('restores the missing functions, and removes only those', () => {
  const isArray = () => true;
  const target: Record<string, unknown> = { isArray };
  const { names, undo } = shimNodeUtil(target);
  expect(names).toEqual(['isNullOrUndefined']);
  const isNullOrUndefined = target.isNullOrUndefined as (value: unknown) => boolean;
  expect([null, undefined, 0, '', false].map(isNullOrUndefined)).toEqual([true, true, false, false, false]);
  undo();
  expect(target).toEqual({ isArray });
});

it('leaves a function that has replaced the restored one', () => {
  const target: Record<string, unknown> = {};
  const { undo } = shimNodeUtil(target);
  const theirs = () => false;
  target.isNullOrUndefined = theirs;
  undo();
  expect(target).toEqual({ isNullOrUndefined: theirs });
});
