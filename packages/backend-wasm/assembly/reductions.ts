/**
 * Sums, means and maxima of a matrix, each in one pass over memory: over rows (a value for each column), over columns
 * (a value for each row), and over all entries. A sum over rows may be of the product of two matrices, which is never
 * stored.
 *
 * Blocks have a size that depends on the shape only. Their sums are added in double precision, in order.
 */
import { BLOCK, read, unordered, write } from './elementwise';
import { madd } from './madd';
import { ceilDiv, clear, max, min } from './pack';
import { args, control, needed, parallel, reserve } from './threads';
import { ADD_BLOCKS, BLOCK_FINITE, BLOCK_MAXIMUM, BLOCK_SUM, SUM_BLOCK, SUM_COLUMNS } from '../dist/wasm/tasks';

@unmanaged
export class Reduction {
  rows: i32;
  columns: i32;
  /** The divisor of sums. */
  divisor: i32;
  a: usize;
  /** A second factor, or the values that may also be infinite or NaN; or 0. */
  b: usize;
  y: usize;
}

/** Columns of a block. */
export const STRIP: i32 = 1024;
/** Columns whose blocks a task adds. */
export const FEW: i32 = 64;

// @ts-ignore: decorator
@inline
export function rowsOfBlock(p: Reduction): i32 {
  return max(8, (BLOCK / min(p.columns, STRIP)) & ~3);
}

/** y[k] = Σₚ a[p, k] · b[p, k] / divisor. */
export function sumRows(): u32 {
  const p = args<Reduction>();
  const blocks = ceilDiv(p.rows, rowsOfBlock(p));
  if (!reserve(<usize>blocks * p.columns * 4, 0)) return needed();
  parallel(SUM_BLOCK, blocks * ceilDiv(p.columns, STRIP));
  parallel(ADD_BLOCKS, ceilDiv(p.columns, FEW));
  return 0;
}

export function sumBlockTask(task: i32): void {
  const p = args<Reduction>();
  const strips = ceilDiv(p.columns, STRIP);
  const block = task / strips;
  const column = (task % strips) * STRIP;
  const n = min(STRIP, p.columns - column);
  const end = min(p.rows, (block + 1) * rowsOfBlock(p));
  const stride = <usize>p.columns * 4;
  const sums = control().arena + (<usize>block * p.columns + column) * 4;
  clear(sums, n);
  for (let row = block * rowsOfBlock(p); row < end; ) {
    const at = <usize>row * stride + <usize>column * 4;
    const a = p.a + at;
    const b = p.b + at;
    if (row + 4 <= end) {
      if (p.b) addRows(4, true, sums, a, b, stride, n);
      else addRows(4, false, sums, a, b, stride, n);
      row += 4;
    } else {
      if (p.b) addRows(1, true, sums, a, b, stride, n);
      else addRows(1, false, sums, a, b, stride, n);
      row++;
    }
  }
}

/** sums[k] += Σᵣ a[r, k] · b[r, k] over 1 or 4 rows, without b unless it is a product. */
// @ts-ignore: decorator
@inline
function addRows(rows: i32, product: bool, sums: usize, a: usize, b: usize, stride: usize, n: i32): void {
  const vectorEnd = sums + ((<usize>n >> 2) << 4);
  const end = sums + (<usize>n << 2);
  while (sums < vectorEnd) {
    write(4, sums, f32x4.add(read(4, sums), ofRows(4, rows, product, a, b, stride)));
    a += 16;
    if (product) b += 16;
    sums += 16;
  }
  while (sums < end) {
    write(1, sums, f32x4.add(read(1, sums), ofRows(1, rows, product, a, b, stride)));
    a += 4;
    if (product) b += 4;
    sums += 4;
  }
}

// @ts-ignore: decorator
@inline
function ofRows(width: i32, rows: i32, product: bool, a: usize, b: usize, stride: usize): v128 {
  const first = term(width, product, a, b);
  if (rows == 1) return first;
  const second = term(width, product, a + stride, b + stride);
  const odd = plus(width, product, a + 2 * stride, b + 2 * stride, first);
  const even = plus(width, product, a + 3 * stride, b + 3 * stride, second);
  return f32x4.add(odd, even);
}

// @ts-ignore: decorator
@inline
function term(width: i32, product: bool, a: usize, b: usize): v128 {
  return product ? f32x4.mul(read(width, a), read(width, b)) : read(width, a);
}

// @ts-ignore: decorator
@inline
function plus(width: i32, product: bool, a: usize, b: usize, sum: v128): v128 {
  return product ? madd(read(width, a), read(width, b), sum) : f32x4.add(read(width, a), sum);
}

// @ts-ignore: decorator
@inline
function promoteHigh(x: v128): v128 {
  return f64x2.promote_low_f32x4(v128.shuffle<f32>(x, x, 2, 3, 2, 3));
}

export function addBlocksTask(task: i32): void {
  const p = args<Reduction>();
  const blocks = ceilDiv(p.rows, rowsOfBlock(p));
  const stride = <usize>p.columns * 4;
  const end = min(p.columns, (task + 1) * FEW);
  let column = task * FEW;
  for (; column + 4 <= end; column += 4) {
    let at = control().arena + <usize>column * 4;
    let low = f64x2.splat(0);
    let high = f64x2.splat(0);
    for (let block = 0; block < blocks; block++) {
      const part = v128.load(at);
      low = f64x2.add(low, f64x2.promote_low_f32x4(part));
      high = f64x2.add(high, promoteHigh(part));
      at += stride;
    }
    const divisor = f64x2.splat(p.divisor);
    low = f32x4.demote_f64x2_zero(f64x2.div(low, divisor));
    high = f32x4.demote_f64x2_zero(f64x2.div(high, divisor));
    v128.store(p.y + <usize>column * 4, v128.shuffle<f32>(low, high, 0, 1, 4, 5));
  }
  for (; column < end; column++) {
    let sum: f64 = 0;
    for (let block = 0; block < blocks; block++) {
      sum += <f64>load<f32>(control().arena + <usize>block * stride + <usize>column * 4);
    }
    store<f32>(p.y + <usize>column * 4, <f32>(sum / <f64>p.divisor));
  }
}

// @ts-ignore: decorator
@inline
function rowsOfTask(p: Reduction): i32 {
  return max(1, BLOCK / p.columns);
}

/** y[p] = Σₖ a[p, k] / divisor. */
export function sumColumns(): u32 {
  const p = args<Reduction>();
  parallel(SUM_COLUMNS, ceilDiv(p.rows, rowsOfTask(p)));
  return 0;
}

export function sumColumnsTask(task: i32): void {
  const p = args<Reduction>();
  const end = min(p.rows, (task + 1) * rowsOfTask(p));
  for (let row = task * rowsOfTask(p); row < end; row++) {
    const sum = sumOf(p.a + <usize>row * p.columns * 4, p.columns);
    store<f32>(p.y + <usize>row * 4, <f32>(sum / <f64>p.divisor));
  }
}

/** Adds 64 numbers at a time in single precision. */
function sumOf(x: usize, n: i32): f64 {
  const end = x + (<usize>n << 2);
  const vectorEnd = x + ((<usize>n >> 2) << 4);
  const longEnd = x + ((<usize>n >> 6) << 8);
  let sums = f64x2.splat(0);
  while (x < longEnd) {
    let s0 = f32x4.add(v128.load(x), v128.load(x, 16));
    let s1 = f32x4.add(v128.load(x, 32), v128.load(x, 48));
    let s2 = f32x4.add(v128.load(x, 64), v128.load(x, 80));
    let s3 = f32x4.add(v128.load(x, 96), v128.load(x, 112));
    s0 = f32x4.add(s0, f32x4.add(v128.load(x, 128), v128.load(x, 144)));
    s1 = f32x4.add(s1, f32x4.add(v128.load(x, 160), v128.load(x, 176)));
    s2 = f32x4.add(s2, f32x4.add(v128.load(x, 192), v128.load(x, 208)));
    s3 = f32x4.add(s3, f32x4.add(v128.load(x, 224), v128.load(x, 240)));
    s0 = f32x4.add(f32x4.add(s0, s1), f32x4.add(s2, s3));
    sums = f64x2.add(sums, f64x2.add(f64x2.promote_low_f32x4(s0), promoteHigh(s0)));
    x += 256;
  }
  while (x < vectorEnd) {
    const four = v128.load(x);
    sums = f64x2.add(sums, f64x2.add(f64x2.promote_low_f32x4(four), promoteHigh(four)));
    x += 16;
  }
  let sum = f64x2.extract_lane(sums, 0) + f64x2.extract_lane(sums, 1);
  while (x < end) {
    sum += <f64>load<f32>(x);
    x += 4;
  }
  return sum;
}

/** y = Σ a / divisor over all columns of one row. */
export function sumAll(): u32 {
  return reduceAll(BLOCK_SUM);
}

/** y = the maximum of all columns of one row. */
export function maximumOfAll(): u32 {
  return reduceAll(BLOCK_MAXIMUM);
}

function reduceAll(phase: i32): u32 {
  const p = args<Reduction>();
  const blocks = ceilDiv(p.columns, BLOCK);
  if (!reserve(<usize>blocks * 8, 0)) return needed();
  parallel(phase, blocks);
  let result = load<f64>(control().arena);
  for (let block = 1; block < blocks; block++) {
    const part = load<f64>(control().arena + <usize>block * 8);
    result = phase == BLOCK_SUM ? result + part : Math.max(result, part);
  }
  store<f32>(p.y, <f32>(result / <f64>p.divisor));
  return 0;
}

export function blockSumTask(task: i32): void {
  const p = args<Reduction>();
  const n = min(BLOCK, p.columns - task * BLOCK);
  store<f64>(control().arena + <usize>task * 8, sumOf(p.a + <usize>(task * BLOCK) * 4, n));
}

export function blockMaximumTask(task: i32): void {
  const p = args<Reduction>();
  const n = min(BLOCK, p.columns - task * BLOCK);
  store<f64>(control().arena + <usize>task * 8, <f64>maximumOf(true, p.a + <usize>(task * BLOCK) * 4, n));
}

/** A byte: 1 if each number of one row of a is finite, or equals that of b if there is a b. */
export function allFinite(): u32 {
  const p = args<Reduction>();
  const blocks = ceilDiv(p.columns, BLOCK);
  if (!reserve(blocks, 0)) return needed();
  parallel(BLOCK_FINITE, blocks);
  let finite = true;
  for (let block = 0; block < blocks; block++) finite = finite && load<u8>(control().arena + <usize>block) == 1;
  store<u8>(p.y, finite ? 1 : 0);
  return 0;
}

export function blockFiniteTask(task: i32): void {
  const p = args<Reduction>();
  const offset = <usize>(task * BLOCK) * 4;
  const n = min(BLOCK, p.columns - task * BLOCK);
  const finite = p.b ? finiteOf(true, p.a + offset, p.b + offset, n) : finiteOf(false, p.a + offset, 0, n);
  store<u8>(control().arena + <usize>task, finite ? 1 : 0);
}

// @ts-ignore: decorator
@inline
function finiteOf(excuses: bool, a: usize, b: usize, n: i32): bool {
  const end = a + (<usize>n << 2);
  const vectorEnd = a + ((<usize>n >> 2) << 4);
  let bad = i32x4.splat(0);
  while (a < vectorEnd) {
    bad = v128.or(bad, badOf(4, excuses, a, b));
    a += 16;
    if (excuses) b += 16;
  }
  while (a < end) {
    bad = v128.or(bad, badOf(1, excuses, a, b));
    a += 4;
    if (excuses) b += 4;
  }
  return !v128.any_true(bad);
}

/** Detects values that are not finite: x − x is 0 for a finite x, else NaN. */
// @ts-ignore: decorator
@inline
function badOf(width: i32, excuses: bool, a: usize, b: usize): v128 {
  const x = read(width, a);
  const bad = f32x4.ne(f32x4.sub(x, x), f32x4.splat(0));
  return excuses ? v128.andnot(bad, f32x4.eq(x, read(width, b))) : bad;
}

/**
 * The maximum of some numbers; NaN if there is one and it `passes`. It keeps four maxima, since each waits for the
 * previous.
 */
// @ts-ignore: decorator
@inline
export function maximumOf(passes: bool, x: usize, n: i32): f32 {
  const longEnd = x + ((<usize>n >> 4) << 6);
  const vectorEnd = x + ((<usize>n >> 2) << 4);
  const end = x + (<usize>n << 2);
  let m0 = f32x4.splat(-Infinity);
  let m1 = m0;
  let m2 = m0;
  let m3 = m0;
  let nan = f32x4.splat(0);
  while (x < longEnd) {
    const x0 = v128.load(x);
    const x1 = v128.load(x, 16);
    const x2 = v128.load(x, 32);
    const x3 = v128.load(x, 48);
    m0 = f32x4.pmax(m0, x0);
    m1 = f32x4.pmax(m1, x1);
    m2 = f32x4.pmax(m2, x2);
    m3 = f32x4.pmax(m3, x3);
    if (passes) {
      const two = v128.or(unordered(x0), unordered(x1));
      nan = v128.or(nan, v128.or(two, v128.or(unordered(x2), unordered(x3))));
    }
    x += 64;
  }
  while (x < vectorEnd) {
    const x0 = v128.load(x);
    m0 = f32x4.pmax(m0, x0);
    if (passes) nan = v128.or(nan, unordered(x0));
    x += 16;
  }
  while (x < end) {
    const x0 = v128.load32_splat(x);
    m0 = f32x4.pmax(m0, x0);
    if (passes) nan = v128.or(nan, unordered(x0));
    x += 4;
  }
  if (passes && v128.any_true(nan)) return NaN;
  m0 = f32x4.pmax(f32x4.pmax(m0, m1), f32x4.pmax(m2, m3));
  m0 = f32x4.pmax(m0, v128.shuffle<f32>(m0, m0, 2, 3, 0, 1));
  m0 = f32x4.pmax(m0, v128.shuffle<f32>(m0, m0, 1, 0, 3, 2));
  return f32x4.extract_lane(m0, 0);
}
