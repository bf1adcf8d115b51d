/**
 * xᵖ without tables, because the memory that this module shares has no space for constants.
 *
 *     xᵖ = 2^(p · log₂ x),   x = 2ⁿ · m,   √½ ≤ m < √2,   ln m = 2 · artanh((m − 1)/(m + 1))
 *
 * Both series are cut where their relative error is below 1e-12.
 */

const LN2: f64 = 0.6931471805599453;

export function pow(x: f64, p: f64): f64 {
  if (p == 0) return 1;
  // 0, NaN and infinity.
  if (!(x > 0) || x == Infinity) return x;
  let bits = reinterpret<i64>(x);
  let n = <i32>(bits >> 52) - 1023;
  let m = reinterpret<f64>((bits & 0x000fffffffffffff) | 0x3ff0000000000000);
  if (m > 1.4142135623730951) {
    m *= 0.5;
    n++;
  }
  const s = (m - 1) / (m + 1);
  const t = s * s;
  let series: f64 = 0;
  for (let k = 17; k > 0; k -= 2) series = series * t + 1 / <f64>k;
  const exponent = p * (<f64>n + (2 * s * series) / LN2);
  const whole = nearest(exponent);
  // Beyond the range of float32, to which the caller rounds.
  if (whole > 1000) return Infinity;
  if (whole < -1000) return 0;
  const r = (exponent - whole) * LN2;
  let power: f64 = 1;
  for (let k = 13; k > 0; k--) power = 1 + (power * r) / <f64>k;
  return power * reinterpret<f64>((<i64>whole + 1023) << 52);
}
