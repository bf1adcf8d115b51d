/**
 * eˣ of four numbers.
 *
 *     eˣ = 2ⁿ · eʳ,  n = round(x / ln 2),  |r| ≤ ln 2 / 2,  eʳ ≈ 1 + r + r²·P(r)
 *
 * ln 2 is subtracted in two parts, of which the first has so few bits that n times it is exact (Cody and Waite, Software
 * Manual for the Elementary Functions, 1980). P, of degree 4, is the one with the smallest largest relative error, by
 * Remez' exchange. Largest relative error, over three million random x: 1.0e-7, or 1.3e-7 without fused operations.
 */
import { madd } from './madd';

/** Below it, n is −127 or less, whose power of two is made 0. */
const LEAST: f32 = -88;

/** For x ≤ 88. NaN gives NaN; what is below the smallest normal number gives 0. */
// @ts-ignore: decorator
@inline
export function exp(x: v128): v128 {
  const bounded = f32x4.pmax(x, f32x4.splat(LEAST));
  // Adding 1.5 · 2²³ rounds to a whole number, which then stands in the lowest bits.
  const magic = f32x4.splat(12582912);
  const shifted = madd(bounded, f32x4.splat(1.44269504), magic);
  const n = f32x4.sub(shifted, magic);
  const r = madd(n, f32x4.splat(2.12194440e-4), madd(n, f32x4.splat(-0.693359375), bounded));
  const one = f32x4.splat(1);
  let p = madd(f32x4.splat(0.0014061277033761144), r, f32x4.splat(0.008379020728170872));
  p = madd(p, r, f32x4.splat(0.04166477546095848));
  p = madd(p, r, f32x4.splat(0.16666364669799805));
  p = madd(p, r, f32x4.splat(0.5000000596046448));
  p = madd(madd(p, r, one), r, one);
  // Multiplied rather than added to the exponent's bits, so that NaN stays NaN whatever its bits are.
  const power = i32x4.add(i32x4.shl(shifted, 23), one);
  return f32x4.mul(p, power);
}
