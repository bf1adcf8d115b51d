/** Holds a report to the losses that all others have. */
import { expect, type TestContext } from 'vitest';
import type { Report } from './smoke.js';

/** Notes what the backend got, and fails unless its kernels are right and its losses are those of `reference`. */
export async function check(
  { annotate }: Pick<TestContext, 'annotate'>,
  { got, losses, again, failed }: Report,
  reference: readonly number[],
  tolerance = 1e-4,
): Promise<void> {
  const { numerics, device, threads, notes = [] } = got;
  await annotate([numerics?.variant ?? device, `threads: ${threads ?? 1}`, ...notes].join(', '));
  expect(failed).toEqual([]);
  expect(losses.at(-1)).toBeLessThan(losses[0]!);
  expect(again).toEqual(losses);
  expect(losses).toHaveLength(reference.length);
  for (const [step, loss] of losses.entries()) expect(Math.abs(loss - reference[step]!)).toBeLessThan(tolerance);
}
