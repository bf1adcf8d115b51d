/** What a plugin claims of a hyperparameter that may be a schedule, and how that is checked. */
import type { Hyperparameter } from '@ghl/core';
import { check, checkIdentical, relativeError, type Snapshot } from './case.js';

/** A hyperparameter that may be a schedule. */
export interface ScheduleClaim<Product> {
  /** Makes the product with the hyperparameter. */
  make(value: Hyperparameter): Product;
  /** Two numbers with which it behaves differently. */
  readonly values: readonly [number, number];
}

/**
 * Of a product made with a schedule: at step 0 it is what it is with the first number, at step 1 what it is with the
 * second, and these differ.
 *
 * @param run Its result at a step with a constant number, or with the schedule where that is undefined.
 */
export async function checkSchedule(
  name: string,
  values: readonly [number, number],
  run: (steady: number | undefined, step: number) => Promise<ReadonlyMap<string, Snapshot>>,
): Promise<void> {
  const numbers = (tree: ReadonlyMap<string, Snapshot>) =>
    [...tree.values()].flatMap((leaf) => Array.from(leaf.values));
  const [first, second] = [await run(values[0], 1), await run(values[1], 1)];
  check(
    relativeError(numbers(first), numbers(second)) > 1e-5,
    'FALSE_CLAIM',
    `${name} = ${values[0]} and ${name} = ${values[1]} make no difference.`,
    'give two values in claims.schedules that do, or use the hyperparameter.',
  );
  for (const step of [0, 1] as const) {
    checkIdentical(
      `With ${name} scheduled, step ${step}`,
      await run(undefined, step),
      await run(values[step], step),
      'MISMATCH',
      `read the hyperparameter with at(${name}, step) in each step.`,
    );
  }
}
