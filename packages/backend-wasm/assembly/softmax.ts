/**
 * Softmax over the last axis: y = exp((x − max x) / τ) / Σ exp((x − max x) / τ) for each row. A row is read from memory and written to
 * it once, as long as it fits the first cache.
 */
import { BLOCK, read, write } from './elementwise';
import { exp } from './exp';
import { ceilDiv, max, min } from './pack';
import { args, parallel } from './pool';
import { maximumOf } from './reductions';
import { SOFTMAX } from './tasks';

@unmanaged
class Softmax {
  rows: i32;
  columns: i32;
  x: usize;
  y: usize;
  /** 1/τ. */
  sharpness: f32;
}

/** Columns whose powers are added up in single precision. */
const STRETCH: i32 = 512;

// @ts-ignore: decorator
@inline
function rowsOfTask(p: Softmax): i32 {
  return max(1, BLOCK / p.columns);
}

export function softmax(): u32 {
  const p = args<Softmax>();
  parallel(SOFTMAX, ceilDiv(p.rows, rowsOfTask(p)));
  return 0;
}

export function softmaxTask(task: i32): void {
  const p = args<Softmax>();
  const first = task * rowsOfTask(p);
  const end = min(p.rows, first + rowsOfTask(p));
  for (let row = first; row < end; row++) {
    const at = <usize>row * p.columns * 4;
    const x = p.x + at;
    const y = p.y + at;
    // A NaN that the maximum ignores is found again by the sum.
    const largest = f32x4.splat(maximumOf(false, x, p.columns));
    let sum: f64 = 0;
    for (let i = 0; i < p.columns; i += STRETCH) {
      sum += powers(x + <usize>i * 4, y + <usize>i * 4, largest, f32x4.splat(p.sharpness), min(STRETCH, p.columns - i));
    }
    scale(y, f32x4.splat(<f32>(1 / sum)), p.columns);
  }
}

/** y = exp((x − largest) · sharpness), and their sum. */
function powers(x: usize, y: usize, largest: v128, sharpness: v128, n: i32): f64 {
  const vectorEnd = x + ((<usize>n >> 2) << 4);
  const end = x + (<usize>n << 2);
  let sums = f32x4.splat(0);
  while (x < vectorEnd) {
    const power = exp(f32x4.mul(f32x4.sub(read(4, x), largest), sharpness));
    write(4, y, power);
    sums = f32x4.add(sums, power);
    x += 16;
    y += 16;
  }
  const two = f64x2.add(f64x2.promote_low_f32x4(sums), f64x2.promote_low_f32x4(v128.shuffle<f32>(sums, sums, 2, 3, 0, 1)));
  let sum = f64x2.extract_lane(two, 0) + f64x2.extract_lane(two, 1);
  while (x < end) {
    const power = exp(f32x4.mul(f32x4.sub(read(1, x), largest), sharpness));
    write(1, y, power);
    sum += <f64>f32x4.extract_lane(power, 0);
    x += 4;
    y += 4;
  }
  return sum;
}

function scale(y: usize, factor: v128, n: i32): void {
  const vectorEnd = y + ((<usize>n >> 2) << 4);
  const end = y + (<usize>n << 2);
  while (y < vectorEnd) {
    write(4, y, f32x4.mul(read(4, y), factor));
    y += 16;
  }
  while (y < end) {
    write(1, y, f32x4.mul(read(1, y), factor));
    y += 4;
  }
}
