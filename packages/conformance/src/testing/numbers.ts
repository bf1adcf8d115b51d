/** Seeded numbers for tests: the same seed gives the same numbers on every machine. */

/**
 * A seeded generator of uniform numbers in [−1, 1): mulberry32. Every number is exact in float32.
 *
 * @example
 * ```ts
 * import { generator } from '@ghl/conformance/testing';
 * import '@tensorflow/tfjs-backend-cpu';
 *
 * const draw = generator(7);
 * const again = generator(7);
 * console.log(draw() === again(), draw() === again());
 * // => true true
 * ```
 */
export function generator(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    // The upper 24 bits: as many as a float32 holds, so that no number is rounded up to 1.
    return ((mixed ^ (mixed >>> 14)) >>> 8) / 2 ** 23 - 1;
  };
}

/**
 * Numbers in [−1, 1) for a tensor, in row-major order.
 *
 * @param scale Every number is multiplied by it.
 * @example
 * ```ts
 * import { numbers } from '@ghl/conformance/testing';
 * import '@tensorflow/tfjs-backend-cpu';
 *
 * console.log(numbers(1, [2, 3]).length);
 * // => 6
 * ```
 */
export function numbers(seed: number, shape: readonly number[], scale = 1): Float32Array {
  const draw = generator(seed);
  return Float32Array.from({ length: shape.reduce((product, size) => product * size, 1) }, () => draw() * scale);
}
