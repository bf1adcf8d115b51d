/**
 * Softmax over the last axis: y = exp((x − max x) / τ) / Σ exp((x − max x) / τ) for each row. Since x − max x may
 * overflow for the largest numbers, the exponent is (x/2 − max x / 2) · (2/τ). A row that fits the first-level cache is
 * read from memory and written to it once. Competition also sums x · y over the rows, while they are in the
 * second-level cache.
 */
import { BLOCK, read, write } from './elementwise';
import { ExpConstants, powers, setConstants } from './exp';
import { ceilDiv, max, min } from './pack';
import { args, needed, parallel, reserve } from './threads';
import { FEW, maximumOf, Reduction, rowsOfBlock, STRIP, sumBlockTask } from './reductions';
import { ADD_BLOCKS, COMPETE, SOFTMAX } from '../dist/wasm/tasks';

/** a is x, b its softmax, and y the sum of their products over the rows, for competition. */
@unmanaged
class Softmax extends Reduction {
  /** 2/τ. */
  sharpness: f32;
  /** The first of ExpConstants. */
  constants: f32;
}

/** Columns whose powers are added in single precision. */
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

/** Softmax at a temperature, and Σₚ x · softmax(x / τ) of each column. */
export function compete(): u32 {
  const p = args<Softmax>();
  const blocks = ceilDiv(p.rows, rowsOfBlock(p));
  if (!reserve(<usize>blocks * p.columns * 4, 0)) return needed();
  setConstants(constants(p));
  parallel(COMPETE, blocks);
  parallel(ADD_BLOCKS, ceilDiv(p.columns, FEW));
  return 0;
}

export function competeTask(block: i32): void {
  const p = args<Softmax>();
  softmaxRows(p, block * rowsOfBlock(p), rowsOfBlock(p));
  const strips = ceilDiv(p.columns, STRIP);
  for (let strip = 0; strip < strips; strip++) sumBlockTask(block * strips + strip);
}

export function softmax(): u32 {
  const p = args<Softmax>();
  setConstants(constants(p));
  parallel(SOFTMAX, ceilDiv(p.rows, rowsOfTask(p)));
  return 0;
}

export function softmaxTask(task: i32): void {
  const p = args<Softmax>();
  softmaxRows(p, task * rowsOfTask(p), rowsOfTask(p));
}

function softmaxRows(p: Softmax, first: i32, count: i32): void {
  const end = min(p.rows, first + count);
  for (let row = first; row < end; row++) {
    const at = <usize>row * p.columns * 4;
    softmaxRow(p.a + at, p.b + at, p.columns, p.sharpness, constants(p));
  }
}

function softmaxRow(x: usize, y: usize, columns: i32, sharpness: f32, c: ExpConstants): void {
  // The sum propagates a NaN that the maximum ignores.
  const largest = maximumOf(false, x, columns);
  let sum: f64 = 0;
  for (let i = 0; i < columns; i += STRETCH) {
    const n = min(STRETCH, columns - i);
    sum += powers(c, x + <usize>i * 4, y + <usize>i * 4, f32x4.splat(-0.5 * largest), f32x4.splat(sharpness), n);
  }
  scale(y, f32x4.splat(<f32>(1 / sum)), columns);
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
