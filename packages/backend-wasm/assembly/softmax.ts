/**
 * Softmax over the last axis: y = exp((x − max x) / τ) / Σ exp((x − max x) / τ) for each row. Since x − max x may
 * overflow for the largest numbers, the exponent is (x/2 − max x / 2) · (2/τ). A row that fits the first-level cache is
 * read from memory and written to it once. Competition also sums x · y over the rows, while they are in the
 * second-level cache. Its gate may also be signed, or be 1 for the winner.
 */
import { BLOCK, read, write } from './elementwise';
import { ExpConstants, powers, setConstants } from './exp';
import { ceilDiv, clear, max, min } from './pack';
import { args, needed, parallel, reserve } from './threads';
import { FEW, maximumOf, Reduction, rowsOfBlock, STRIP, sumBlockTask } from './reductions';
import { ADD_BLOCKS, COMPETE, SOFTMAX } from '../dist/wasm/tasks';

/** a is x, b its softmax or gate, and y the sum of their products over the rows, for competition. */
@unmanaged
class Softmax extends Reduction {
  /** 2/τ. */
  sharpness: f32;
  /** 0, SIGNED or WINNER. */
  form: i32;
  /** The first of ExpConstants. */
  constants: f32;
}

/** The softmax of the first largest number of a row, and the others with their sign changed. */
const SIGNED: i32 = 1;
/** 1 for the first largest number of a row, and 0 for the others. */
const WINNER: i32 = 2;

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

/** The gate of a competition at a temperature, and Σₚ x · gate of each column. */
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
    competeRow(p.form, p.a + at, p.b + at, p.columns, p.sharpness, constants(p));
  }
}

function competeRow(form: i32, x: usize, y: usize, columns: i32, sharpness: f32, c: ExpConstants): void {
  // The sum propagates a NaN that the maximum ignores.
  const largest = maximumOf(false, x, columns);
  if (form == WINNER) {
    clear(y, columns);
    store<f32>(y + (<usize>indexOf(x, columns, largest) << 2), 1);
    return;
  }
  let sum: f64 = 0;
  for (let i = 0; i < columns; i += STRETCH) {
    const n = min(STRETCH, columns - i);
    sum += powers(c, x + <usize>i * 4, y + <usize>i * 4, f32x4.splat(-0.5 * largest), f32x4.splat(sharpness), n);
  }
  scale(y, f32x4.splat(<f32>((form == SIGNED ? -1 : 1) / sum)), columns);
  if (form != SIGNED) return;
  const winner = y + (<usize>indexOf(x, columns, largest) << 2);
  store<f32>(winner, -load<f32>(winner));
}

/** The first index of a value, or the last index of all if there is none. */
function indexOf(x: usize, n: i32, value: f32): i32 {
  let i = 0;
  while (i + 4 <= n && !v128.any_true(f32x4.eq(v128.load(x + (<usize>i << 2)), f32x4.splat(value)))) i += 4;
  while (i < n - 1 && load<f32>(x + (<usize>i << 2)) != value) i++;
  return i;
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
