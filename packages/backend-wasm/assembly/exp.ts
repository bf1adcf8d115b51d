/**
 * eˣ of four numbers.
 *
 *     eˣ = 2ⁿ · eʳ,  n = round(x / ln 2),  |r| ≤ ln 2 / 2,  eʳ ≈ 1 + r + r²·P(r)
 *
 * ln 2 is subtracted in two parts, of which the first has few enough bits that n times it is exact. Parts and polynomial
 * are those of `expf` in the Cephes library (S. L. Moshier, 1992), whose largest relative error is 1.7e-7.
 */
import { madd } from './madd';

/** ln of the smallest normal number. Below it, the result is 0. */
const LEAST: f32 = -87.33654;

/** For x ≤ 88. NaN gives NaN. */
// @ts-ignore: decorator
@inline
export function exp(x: v128): v128 {
  const least = f32x4.splat(LEAST);
  const bounded = f32x4.pmax(x, least);
  // Adding 1.5 · 2²³ rounds to a whole number, which then stands in the lowest bits.
  const magic = f32x4.splat(12582912);
  const shifted = madd(bounded, f32x4.splat(1.44269504), magic);
  const n = f32x4.sub(shifted, magic);
  const r = madd(n, f32x4.splat(2.12194440e-4), madd(n, f32x4.splat(-0.693359375), bounded));
  let p = madd(f32x4.splat(1.9875691500e-4), r, f32x4.splat(1.3981999507e-3));
  p = madd(p, r, f32x4.splat(8.3334519073e-3));
  p = madd(p, r, f32x4.splat(4.1665795894e-2));
  p = madd(p, r, f32x4.splat(1.6666665459e-1));
  p = madd(p, r, f32x4.splat(5.0000001201e-1));
  const mantissa = f32x4.add(madd(f32x4.mul(r, r), p, r), f32x4.splat(1));
  // Multiplied rather than added to the exponent's bits, so that NaN stays NaN whatever its bits are.
  const power = i32x4.add(i32x4.shl(shifted, 23), i32x4.splat(0x3f800000));
  return v128.andnot(f32x4.mul(mantissa, power), f32x4.lt(x, least));
}
