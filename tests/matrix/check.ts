/** Compares a report with the losses of the reference. */
import { expect, type TestContext } from 'vitest';
import type { Report } from './smoke.js';

/** Annotates the test with the backend's resources. Fails unless all cases pass and the losses equal `reference`. */
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
