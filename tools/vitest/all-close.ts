/** The matcher `expect(actual).toBeAllClose(expected, { rtol, atol })`, with NumPy's `allclose` as its contract. */

/** A number, nested arrays of them, a typed array, or a tensor of TensorFlow.js. */
export type Numbers =
  | number
  | ArrayLike<number>
  | readonly Numbers[]
  | { readonly shape: readonly number[]; dataSync(): ArrayLike<number> };

/** The largest difference of two numbers: `|actual − expected| ≤ atol + rtol·|expected|`. */
export interface Tolerance {
  /** Relative to the expected number. Default 1e-5. */
  readonly rtol?: number;
  /** Absolute. Default 1e-8. */
  readonly atol?: number;
}

declare module 'vitest' {
  // biome-ignore lint/suspicious/noExplicitAny: the type parameter must repeat vitest's own declaration
  interface Matchers<T = any> {
    /**
     * Every number is close to the one at the same place: `|actual − expected| ≤ atol + rtol·|expected|`. The shapes
     * must be equal, and NaN is close to nothing; two equal infinities are close.
     */
    toBeAllClose(expected: Numbers, tolerance?: Tolerance): T;
  }
}

interface Flat {
  readonly shape: readonly number[];
  readonly values: ArrayLike<number>;
}

function flatten(value: Numbers): Flat {
  if (typeof value === 'number') return { shape: [], values: [value] };
  if ('dataSync' in value) return { shape: value.shape, values: value.dataSync() };
  const parts = Array.from(value as ArrayLike<Numbers>, flatten);
  const inner = parts[0]?.shape ?? [];
  for (const part of parts) {
    if (String(part.shape) !== String(inner)) {
      throw new TypeError(`Ragged array: one element has shape [${inner}], another [${part.shape}].`);
    }
  }
  return { shape: [parts.length, ...inner], values: parts.flatMap((part) => Array.from(part.values)) };
}

/** The implementation, for `expect.extend`. */
export function toBeAllClose(actual: Numbers, expected: Numbers, { rtol = 1e-5, atol = 1e-8 }: Tolerance = {}) {
  const a = flatten(actual);
  const e = flatten(expected);
  if (String(a.shape) !== String(e.shape)) {
    return { pass: false, message: () => `shape [${a.shape}] is not the expected shape [${e.shape}]` };
  }
  let apart = 0;
  let worst = -1;
  let worstExcess = 0;
  for (let i = 0; i < e.values.length; i++) {
    const [x, y] = [a.values[i] as number, e.values[i] as number];
    if (x === y) continue;
    const excess = Math.abs(x - y) / (atol + rtol * Math.abs(y));
    if (excess <= 1) continue;
    apart++;
    // If one of the two is NaN, the excess is NaN, which counts as the worst.
    if (worst < 0 || Number.isNaN(excess) || excess > worstExcess) [worst, worstExcess] = [i, excess];
  }
  return {
    pass: apart === 0,
    message: () =>
      apart === 0
        ? `all ${e.values.length} numbers are close (rtol ${rtol}, atol ${atol})`
        : `${apart} of ${e.values.length} numbers are not close (rtol ${rtol}, atol ${atol}); the furthest, at flat index ` +
          `${worst}: ${a.values[worst]}, expected ${e.values[worst]}`,
  };
}
