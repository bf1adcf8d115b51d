/**
 * eˣ of a row of numbers.
 *
 *     eˣ = 2ⁿ · eʳ,  n = round(x / ln 2),  |r| ≤ ln 2 / 2,  eʳ ≈ 1 + r + r²·P(r)
 *
 * ln 2 is subtracted in two parts. The first part has few bits, so that its product with n is exact (Cody and Waite,
 * Software Manual for the Elementary Functions, 1980). P, of degree 4, minimises the largest relative error, by Remez'
 * exchange algorithm. The largest relative error over three million random x is 1.0e-7, or 1.3e-7 without fused
 * operations.
 */
import { madd } from './madd';

/**
 * The constants, in memory: V8 rebuilds a vector constant in each iteration of a loop, with three instructions (Node
 * 24; a row took 1.6 times as long), but keeps a loaded value.
 */
@unmanaged
export class ExpConstants {
  least: f32;
  magic: f32;
  perLn2: f32;
  ln2High: f32;
  ln2Low: f32;
  p6: f32;
  p5: f32;
  p4: f32;
  p3: f32;
  p2: f32;
  one: f32;
  half: f32;
}

export function setConstants(c: ExpConstants): void {
  // Below this value, n is −127 or less, and its power of two becomes 0.
  c.least = -88;
  // The sum with 1.5 · 2²³ rounds to an integer, which is then in the lowest bits.
  c.magic = 12582912;
  c.perLn2 = 1.44269504;
  c.ln2High = -0.693359375;
  c.ln2Low = 2.1219444e-4;
  c.p6 = 0.0014061277033761144;
  c.p5 = 0.008379020728170872;
  c.p4 = 0.04166477546095848;
  c.p3 = 0.16666364669799805;
  c.p2 = 0.5000000596046448;
  c.one = 1;
  c.half = 0.5;
}

// @ts-ignore: decorator
@inline
function exp(
  x: v128,
  least: v128,
  magic: v128,
  perLn2: v128,
  ln2High: v128,
  ln2Low: v128,
  p6: v128,
  p5: v128,
  p4: v128,
  p3: v128,
  p2: v128,
  one: v128,
): v128 {
  const bounded = f32x4.pmax(x, least);
  const shifted = madd(bounded, perLn2, magic);
  const n = f32x4.sub(shifted, magic);
  const r = madd(n, ln2Low, madd(n, ln2High, bounded));
  let p = madd(p6, r, p5);
  p = madd(p, r, p4);
  p = madd(p, r, p3);
  p = madd(p, r, p2);
  p = madd(madd(p, r, one), r, one);
  // A multiplication, not an addition to the bits of the exponent, so that every NaN remains a NaN.
  return f32x4.mul(p, i32x4.add(i32x4.shl(shifted, 23), one));
}

/**
 * y = exp((x/2 + from) · by), and their sum. For exponents up to 88. NaN gives NaN, and a result below the smallest
 * normal number is 0.
 */
export function powers(c: ExpConstants, x: usize, y: usize, from: v128, by: v128, n: i32): f64 {
  const least = f32x4.splat(c.least);
  const magic = f32x4.splat(c.magic);
  const perLn2 = f32x4.splat(c.perLn2);
  const ln2High = f32x4.splat(c.ln2High);
  const ln2Low = f32x4.splat(c.ln2Low);
  const p6 = f32x4.splat(c.p6);
  const p5 = f32x4.splat(c.p5);
  const p4 = f32x4.splat(c.p4);
  const p3 = f32x4.splat(c.p3);
  const p2 = f32x4.splat(c.p2);
  const one = f32x4.splat(c.one);
  const half = f32x4.splat(c.half);
  const vectorEnd = x + ((<usize>n >> 2) << 4);
  const end = x + (<usize>n << 2);
  let sums = f32x4.splat(0);
  while (x < vectorEnd) {
    const exponent = f32x4.mul(madd(v128.load(x), half, from), by);
    const power = exp(exponent, least, magic, perLn2, ln2High, ln2Low, p6, p5, p4, p3, p2, one);
    v128.store(y, power);
    sums = f32x4.add(sums, power);
    x += 16;
    y += 16;
  }
  const high = v128.shuffle<f32>(sums, sums, 2, 3, 0, 1);
  const two = f64x2.add(f64x2.promote_low_f32x4(sums), f64x2.promote_low_f32x4(high));
  let sum = f64x2.extract_lane(two, 0) + f64x2.extract_lane(two, 1);
  while (x < end) {
    const exponent = f32x4.mul(madd(v128.load32_zero(x), half, from), by);
    const power = exp(exponent, least, magic, perLn2, ln2High, ln2Low, p6, p5, p4, p3, p2, one);
    v128.store_lane<f32>(y, power, 0);
    sum += <f64>f32x4.extract_lane(power, 0);
    x += 4;
    y += 4;
  }
  return sum;
}
