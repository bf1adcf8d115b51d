/** A claim about a hyperparameter that may be a schedule, and its check. */
import type { GhlError, Hyperparameter } from '@ghl/core';
import { check, checkIdentical, type Snapshot } from './case.js';
import { relativeError } from './testing/vectors.js';

/** A hyperparameter that may be a schedule. */
export interface ScheduleClaim<Product> {
  /** Makes the product with the hyperparameter. */
  make(value: Hyperparameter): Product;
  /** Two numbers with which it behaves differently. */
  readonly values: readonly [number, number];
  /** Numbers out of its range. The plugin must reject each one, also as the value of a schedule. */
  readonly outside?: readonly number[];
}

const HELP =
  'in each step, read valueAt(hyperparameter, step), where the hyperparameter is the result of checkHyperparameter() ' +
  'has returned.';

/**
 * Checks a product made with a schedule: step 0 equals that of the first number, step 1 that of the second, and the two
 * differ. The product must reject a value that is out of range or not finite with `BAD_VALUE`.
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
  const outcome = error === null ? 'not rejected' : `rejected with ${String((error as GhlError).code ?? error)}`;
  check(
    (error as GhlError | null)?.code === 'BAD_VALUE',
    'MISMATCH',
    `${what} is ${outcome}, not with BAD_VALUE.`,
    HELP,
  );
}
