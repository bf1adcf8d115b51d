/** What a plugin claims of a hyperparameter that may be a schedule, and how that is checked. */
import type { GhlError, Hyperparameter } from '@ghl/core';
import { check, checkIdentical, type Snapshot } from './case.js';
import { relativeError } from './testing/vectors.js';

/** A hyperparameter that may be a schedule. */
export interface ScheduleClaim<Product> {
  /** Makes the product with the hyperparameter. */
  make(value: Hyperparameter): Product;
  /** Two numbers with which it behaves differently. */
  readonly values: readonly [number, number];
  /** Numbers out of its range. Each is refused, also where a schedule gives it. */
  readonly outside?: readonly number[];
}

const HELP =
  'read the hyperparameter with at(hyperparameter, step) in each step, where hyperparameter is what checkHyperparameter() ' +
  'has returned.';

/**
 * Of a product made with a schedule: at step 0 it is what it is with the first number, at step 1 what it is with the
 * second, and these differ. A value that is not finite, or out of range, is refused with `BAD_VALUE`.
 *
 * @param run The result of a product at a step.
 */
export async function checkSchedule<Product>(
  name: string,
  { make, values, outside = [] }: ScheduleClaim<Product>,
  run: (product: Product, step: number) => Promise<ReadonlyMap<string, Snapshot>>,
): Promise<void> {
  const numbers = (tree: ReadonlyMap<string, Snapshot>) =>
    [...tree.values()].flatMap((leaf) => Array.from(leaf.values));
  const [first, second] = [await run(make(values[0]), 1), await run(make(values[1]), 1)];
  check(
    relativeError(numbers(first), numbers(second)) > 1e-5,
    'FALSE_CLAIM',
    `${name} = ${values[0]} and ${name} = ${values[1]} make no difference.`,
    'give two values in claims.schedules that do, or use the hyperparameter.',
  );
  const scheduled = make((step) => values[step as 0 | 1]);
  for (const step of [0, 1] as const) {
    checkIdentical(
      `With ${name} scheduled, step ${step}`,
      await run(scheduled, step),
      await run(make(values[step]), step),
      'MISMATCH',
      HELP,
    );
  }
  for (const bad of outside) await checkRefused(`${name} = ${bad}`, async () => make(bad));
  for (const bad of [...outside, Number.NaN, Infinity, -Infinity, undefined, null, '1', Promise.resolve(1)]) {
    const product = make((step) => (step === 0 ? values[0] : (bad as number)));
    await checkRefused(`A schedule of ${name} that gives ${String(bad)}`, () => run(product, 1));
  }
}

async function checkRefused(what: string, attempt: () => Promise<unknown>): Promise<void> {
  const error = await attempt().then(
    () => null,
    (thrown: unknown) => thrown,
  );
  const found = error === null ? 'not refused' : `refused with ${String((error as GhlError).code ?? error)}`;
  check((error as GhlError | null)?.code === 'BAD_VALUE', 'MISMATCH', `${what} is ${found}, not with BAD_VALUE.`, HELP);
}
