/** A conformance case as data, the error of a failed case, and the checks that cases use. */
import { type ErrorCode, GhlError } from '@ghl/core';
import { leaves, loadState, mapLeaves } from '@ghl/core/engine';
import type { StateTree } from '@ghl/core/plugin';
import * as tf from '@tensorflow/tfjs-core';
import { relativeError } from './testing/vectors.js';

/** One requirement of a plugin. Run it with or without a test runner. */
export interface ConformanceCase {
  /** Stable and in kebab-case, such as `'batch-additivity'`. Refer to a case by its id. */
  readonly id: string;
  /** The requirement, as a sentence without a subject: `'is the sum over batches'`. */
  readonly title: string;
  /**
   * Resolves if the requirement holds.
   *
   * @throws ConformanceError with the actual result if it does not. Errors of the plugin itself are rethrown.
   */
  run(): Promise<void>;
}

/** A failed case. */
export interface Failure {
  /** The case's id. */
  readonly id: string;
  /** Its error. */
  readonly error: unknown;
}

/** Runs cases one after the other, without a test runner, and returns the failed ones. */
export async function failures(cases: readonly ConformanceCase[]): Promise<Failure[]> {
  const failed: Failure[] = [];
  for (const { id, run } of cases) {
    await run().catch((error: unknown) => failed.push({ id, error }));
  }
  return failed;
}

/**
 * A plugin does not meet a requirement or its own claims. Codes: `MISMATCH` if numbers or structure differ,
 * `NOT_FINITE`, `IMPURE` if an argument was changed or two equal calls differ, `LEAK`, `UNDECLARED_SIGNAL`,
 * `FALSE_CLAIM` if a claim is wrong in either direction, `UNSUPPORTED` if a backend cannot run here.
 */
export class ConformanceError extends GhlError {
  /** The name of the class, also in a bundle whose minifier renames classes. */
  override readonly name: string = 'ConformanceError';
}

/** Throws a {@link ConformanceError} unless `holds`. */
export function check(holds: boolean, code: ErrorCode, message: string, help: string): asserts holds {
  if (!holds) throw new ConformanceError(code, message, help);
}

/** Numbers on the JavaScript side, with their shape. */
export interface Snapshot {
  readonly shape: readonly number[];
  readonly dtype: string;
  readonly values: ArrayLike<number>;
}

/** The leaves of a tree by path, copied from the device. */
export async function snapshot(tree: StateTree): Promise<Map<string, Snapshot>> {
  const named = leaves(tree);
  const values = await Promise.all(named.map(([, leaf]) => leaf.data()));
  return new Map(
    named.map(([path, leaf], i) => [
      path,
      { shape: [...leaf.shape], dtype: leaf.dtype, values: (values[i] as Float32Array).slice() },
    ]),
  );
}

/** Runs `make` in a tidy, and returns copies of the resulting tensors. No tensor stays on the device. */
export async function evaluate(make: () => StateTree): Promise<Map<string, Snapshot>> {
  // Cloned, since `make` may return tensors of its caller, which must not be disposed of here.
  const tree = tf.tidy(() => mapLeaves(make(), (leaf) => leaf.clone()) as tf.TensorContainer) as StateTree;
  try {
    return await snapshot(tree);
  } finally {
    tf.dispose(tree as tf.TensorContainer);
  }
}

/** Loads a saved state in place of an initial one, and disposes of the latter. */
export function reload<T extends StateTree>(saved: ArrayBuffer, initial: T): T {
  try {
    return loadState(saved, initial);
  } finally {
    tf.dispose(initial as never);
  }
}

/** The values of the single tensor that `make` returns. */
export async function evaluateOne(make: () => tf.Tensor): Promise<ArrayLike<number>> {
  return ((await evaluate(make)).get('') as Snapshot).values;
}

/** Checks that numbers agree to `tolerance` of the largest expected one, or of `least`. */
export function checkClose(
  what: string,
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  tolerance: number,
  help: string,
  least = 0,
): void {
  const error = relativeError(actual, expected, least);
  check(
    error <= tolerance,
    'MISMATCH',
    `${what}: found ${brief(actual)}, expected ${brief(expected)}; they differ by ${error.toPrecision(3)} of the largest.`,
    help,
  );
}

/** Checks that trees have the same leaves, shapes and dtypes, and the same bits. */
export function checkIdentical(
  what: string,
  actual: ReadonlyMap<string, Snapshot>,
  expected: ReadonlyMap<string, Snapshot>,
  code: ErrorCode,
  help: string,
): void {
  checkStructure(what, actual, expected, code, help);
  for (const [path, { values }] of expected) {
    const actualValues = (actual.get(path) as Snapshot).values;
    const differs = Array.from(values, (value, i) => !Object.is(value, actualValues[i])).indexOf(true);
    check(differs < 0, code, `${what}${at(path)}: ${actualValues[differs]}; expected ${values[differs]}.`, help);
  }
}

/** Checks that trees have the same leaves, shapes and dtypes. */
export function checkStructure(
  what: string,
  actual: ReadonlyMap<string, Snapshot>,
  expected: ReadonlyMap<string, Snapshot>,
  code: ErrorCode,
  help: string,
): void {
  const describe = (tree: ReadonlyMap<string, Snapshot>) =>
    [...tree].map(([path, { dtype, shape }]) => `${path || 'tensor'}: ${dtype} [${shape.join(', ')}]`).join(', ') ||
    'nothing';
  const [actualText, expectedText] = [describe(actual), describe(expected)];
  check(actualText === expectedText, code, `${what} is ${actualText}; expected ${expectedText}.`, help);
}

/** Checks that all numbers of a tree are finite. */
export function checkFinite(what: string, tree: ReadonlyMap<string, Snapshot>, help: string): void {
  for (const [path, { values }] of tree) {
    const bad = Array.from(values).find((value) => !Number.isFinite(value));
    check(bad === undefined, 'NOT_FINITE', `${what}${at(path)} holds ${bad}.`, help);
  }
}

/**
 * Copies of the tensors that `make` returns; null if it rejects its arguments as empty.
 *
 * @throws Any error of `make` whose code is not `EMPTY_TENSOR`.
 */
export async function unlessEmpty(make: () => StateTree): Promise<Map<string, Snapshot> | null> {
  return evaluate(make).catch((error: unknown) => {
    if (error instanceof GhlError && error.code === 'EMPTY_TENSOR') return null;
    throw error;
  });
}

/** Checks that the number of tensors is the same before and after `work`. */
export async function checkNoLeak(what: string, help: string, work: () => Promise<unknown>): Promise<void> {
  const before = tf.memory().numTensors;
  await work();
  const left = tf.memory().numTensors - before;
  check(left === 0, 'LEAK', `${what} leaves ${left} more tensors than before.`, help);
}

const at = (path: string) => (path === '' ? '' : ` at '${path}'`);

function brief(numbers: ArrayLike<number>): string {
  const first = Array.from({ length: Math.min(4, numbers.length) }, (_, i) => (numbers[i] as number).toPrecision(6));
  return `[${first.join(', ')}${numbers.length > 4 ? ', …' : ''}]`;
}
