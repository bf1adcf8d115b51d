/** Small linear algebra and the comparison of numbers, in plain arrays. */
import type { Matrix } from '../reference.js';

/** The dot product a·b. */
export const dot = (a: readonly number[], b: readonly number[]): number =>
  a.reduce((sum, each, i) => sum + each * (b[i] as number), 0);

/** Column k of a matrix: the weights of unit k. */
export const column = (matrix: Matrix, k: number): number[] => matrix.map((row) => row[k] as number);

/**
 * The largest |actual − expected|, divided by the largest |expected| or by `least`, whichever is larger. 0 if all
 * numbers are equal. Infinity if a number is NaN, if the lengths differ, or if only the expected numbers are all 0.
 */
export function relativeError(actual: ArrayLike<number>, expected: ArrayLike<number>, least = 0): number {
  if (actual.length !== expected.length) return Number.POSITIVE_INFINITY;
  let [difference, largest] = [0, least];
  for (let i = 0; i < expected.length; i++) {
    const each = Math.abs((actual[i] as number) - (expected[i] as number));
    if (Number.isNaN(each)) return Number.POSITIVE_INFINITY;
    difference = Math.max(difference, each);
    largest = Math.max(largest, Math.abs(expected[i] as number));
  }
  return difference === 0 ? 0 : difference / largest;
}
