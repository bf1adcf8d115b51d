/**
 * Sums, means and maxima of a matrix, each in one pass over memory: over rows (a value for each column), over columns (a
 * value for each row), and over everything. Sums over rows may be of the product of two matrices, which is never written.
 *
 * Additions are made in blocks whose size depends on the shape only; what comes of the blocks is added up in double
 * precision, in their order.
 */
import { BLOCK } from './elementwise';
import { madd } from './madd';
import { ceilDiv, clear, max, min } from './pack';
import { args, control, needed, parallel, reserve } from './pool';
import { COLUMN_PARTS, COLUMN_SUMS, ROW_SUMS, TOTAL_PARTS } from './tasks';

@unmanaged
class Reduction {
  rows: i32;
  columns: i32;
  /** By what sums are divided. */
  divisor: i32;
  a: usize;
  /** A second factor, or 0. */
  b: usize;
  y: usize;
  /** Whether it is the maximum of everything that is wanted. */
  maximum: i32;
}

/** Columns of a task. */
const STRIP: i32 = 1024;
/** Columns whose blocks are added up in a task. */
const FEW: i32 = 64;

// @ts-ignore: decorator
@inline
function rowsOfBlock(p: Reduction): i32 {
  return max(8, BLOCK / min(p.columns, STRIP) / 4 * 4);
}

/** y[k] = Σₚ a[p, k] · b[p, k] / divisor. */
export function sumRows(): u32 {
  const p = args<Reduction>();
  const blocks = ceilDiv(p.rows, rowsOfBlock(p));
  if (!reserve(<usize>blocks * p.columns * 4, 0)) return needed();
  parallel(COLUMN_PARTS, blocks * ceilDiv(p.columns, STRIP));
  parallel(COLUMN_SUMS, ceilDiv(p.columns, FEW));
  return 0;
}

export function columnPartsTask(task: i32): void {
  const p = args<Reduction>();
  const strips = ceilDiv(p.columns, STRIP);
  const block = task / strips;
  const column = (task % strips) * STRIP;
  const n = min(STRIP, p.columns - column);
  const first = block * rowsOfBlock(p);
  const end = min(p.rows, first + rowsOfBlock(p));
  const stride = <usize>p.columns * 4;
  const to = control().arena + (<usize>block * p.columns + column) * 4;
  clear(to, n);
  let row = first;
  for (; row + 4 <= end; row += 4) {
    const at = <usize>row * stride + <usize>column * 4;
    if (p.b) addRows(4, true, to, p.a + at, p.b + at, stride, n);
    else addRows(4, false, to, p.a + at, 0, stride, n);
  }
  for (; row < end; row++) {
    const at = <usize>row * stride + <usize>column * 4;
    if (p.b) addRows(1, true, to, p.a + at, p.b + at, stride, n);
    else addRows(1, false, to, p.a + at, 0, stride, n);
  }
}

/** to[k] += Σ a[r, k] · b[r, k] over 1 or 4 rows. */
// @ts-ignore: decorator
@inline
function addRows(rows: i32, product: bool, to: usize, a: usize, b: usize, stride: usize, n: i32): void {
  const vectorEnd = to + ((<usize>n >> 2) << 4);
  const end = to + (<usize>n << 2);
  const a1 = a + stride - to;
  const b1 = b + stride - to;
  a -= to;
  b -= to;
  while (to < vectorEnd) {
    let sum = product ? f32x4.mul(v128.load(to + a), v128.load(to + b)) : v128.load(to + a);
    if (rows == 4) {
      let second = product ? f32x4.mul(v128.load(to + a1), v128.load(to + b1)) : v128.load(to + a1);
      sum = plus(4, product, sum, to + a + 2 * stride, to + b + 2 * stride);
      second = plus(4, product, second, to + a1 + 2 * stride, to + b1 + 2 * stride);
      sum = f32x4.add(sum, second);
    }
    v128.store(to, f32x4.add(v128.load(to), sum));
    to += 16;
  }
  while (to < end) {
    let sum = product ? f32x4.mul(v128.load32_zero(to + a), v128.load32_zero(to + b)) : v128.load32_zero(to + a);
    if (rows == 4) {
      let second = product ? f32x4.mul(v128.load32_zero(to + a1), v128.load32_zero(to + b1)) : v128.load32_zero(to + a1);
      sum = plus(1, product, sum, to + a + 2 * stride, to + b + 2 * stride);
      second = plus(1, product, second, to + a1 + 2 * stride, to + b1 + 2 * stride);
      sum = f32x4.add(sum, second);
    }
    v128.store_lane<f32>(to, f32x4.add(v128.load32_zero(to), sum), 0);
    to += 4;
  }
}
