import { expect, it } from 'vitest';
import { shimNodeUtil } from './node-util-shim.js';

it('puts back what is missing, and takes away no more than that', () => {
  const kept = () => true;
  const target: Record<string, unknown> = { isArray: kept };
  const { names, undo } = shimNodeUtil(target);
  expect(names).toEqual(['isNullOrUndefined']);
  const isNullOrUndefined = target.isNullOrUndefined as (value: unknown) => boolean;
  expect([null, undefined, 0, '', false].map(isNullOrUndefined)).toEqual([true, true, false, false, false]);
  undo();
  expect(target).toEqual({ isArray: kept });
});

it("leaves another's function where it has replaced ours", () => {
  const target: Record<string, unknown> = {};
  const { undo } = shimNodeUtil(target);
  const theirs = () => false;
  target.isNullOrUndefined = theirs;
  undo();
  expect(target).toEqual({ isNullOrUndefined: theirs });
});
