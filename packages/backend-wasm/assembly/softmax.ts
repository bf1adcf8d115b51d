/**
 * Softmax over the last axis: y = exp((x − max x) / τ) / Σ exp((x − max x) / τ) for each row. A row is read from memory
 * and written to it once, as long as it fits the first cache.
 */
import { BLOCK, read, write } from './elementwise';
import { ExpConstants, powers, setConstants } from './exp';
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
  /** The first of ExpConstants. */
  constants: f32;
}

/** Columns whose powers are added up in single precision. */
const STRETCH: i32 = 512;

// @ts-ignore: decorator
@inline
function rowsOfTask(p: Softmax): i32 {
  return max(1, BLOCK / p.columns);
}

// @ts-ignore: decorator
@inline
function constants(p: Softmax): ExpConstants {
  return changetype<ExpConstants>(changetype<usize>(p) + offsetof<Softmax>('constants'));
}

export function softmax(): u32 {
  const p = args<Softmax>();
  setConstants(constants(p));
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
      const n = min(STRETCH, p.columns - i);
      sum += powers(constants(p), x + <usize>i * 4, y + <usize>i * 4, largest, f32x4.splat(p.sharpness), n);
    }
    scale(y, f32x4.splat(<f32>(1 / sum)), p.columns);
  }
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
