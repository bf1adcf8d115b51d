/**
 * C = A·B, with either operand transposed. The smaller operand is packed as a whole, for all threads; each task packs
 * its part of the other. If C is too small to distribute, K is divided into parts that are added in order. The zeros of
 * an upper triangle, C or B, are skipped in steps of a few columns, and cleared in C.
 */
import { MR, NR, ROW } from '../dist/wasm/tile';
import { addParts, EDGE, multiply } from './multiply';
import {
  blockLength,
  blocksOf,
  ceilDiv,
  clear,
  KC,
  MC,
  max,
  min,
  panelBytes,
  panelsFromColumns,
  panelsFromRows,
  rowsFromRows,
  transpose,
} from './pack';
import { args, control, needed, parallel, reserve, scratch } from './threads';
import { PRODUCT_ADD, PRODUCT_MULTIPLY, PRODUCT_PACK } from '../dist/wasm/tasks';

@unmanaged
export class Product {
  a: usize;
  b: usize;
  c: usize;
  m: i32;
  n: i32;
  k: i32;
  transposeA: i32;
  transposeB: i32;
  /** Rows of C in a task, or columns if A is packed as a whole. */
  step: i32;
  tasks: i32;
  parts: i32;
  /** Blocks of K in a part. */
  share: i32;
  partial: usize;
  /** The upper triangle: none, C, or B. */
  upper: i32;
}

const UPPER_C: i32 = 1;
const UPPER_B: i32 = 2;

const COLUMNS: i32 = 128;
const ADD: i32 = 16384;
/** Columns of an upper triangle with the same last row: whole panels of any variant. */
const STRIP: i32 = 16;

/** About COLUMNS, so that both halves of the threads have equally many tasks. */
function columnsOfTask(n: i32): i32 {
  const count = ceilDiv(n, COLUMNS);
  return ceilDiv(ceilDiv(n, count > 1 ? count & ~1 : 1), 16) * 16;
}

// @ts-ignore: decorator
@inline
function packsA(p: Product): bool {
  return p.m <= p.n;
}

export function product(
  a: usize,
  b: usize,
  c: usize,
  m: i32,
  n: i32,
  k: i32,
  transposeA: i32,
  transposeB: i32,
  upper: i32,
): u32 {
  const p = args<Product>();
  p.a = a;
  p.b = b;
  p.c = c;
  p.m = m;
  p.n = n;
  p.k = k;
  p.transposeA = transposeA;
  p.transposeB = transposeB;
  p.upper = upper;
  p.step = packsA(p) ? columnsOfTask(n) : MC;
  p.tasks = ceilDiv(packsA(p) ? n : m, p.step);
  const blocks = blocksOf(k);
  p.share = p.tasks >= 6 ? blocks : max(2, ceilDiv(blocks, ceilDiv(16, p.tasks)));
  p.parts = ceilDiv(blocks, p.share);
  const length = blockLength(k);
  const whole = packsA(p) ? <usize>blocks * ceilDiv(m, MR) * MR * ROW * 4 : <usize>blocks * panelBytes(length, n);
  const each = packsA(p) ? panelBytes(KC, p.step) : <usize>(MC * ROW * 4);
  const partial = p.parts > 1 ? <usize>p.parts * m * n * 4 : 0;
  if (!reserve(whole + partial, each + EDGE)) return needed();
  p.partial = control().arena + whole;
  parallel(PRODUCT_PACK, packsA(p) ? blocks * ceilDiv(m, MC) : blocks * ceilDiv(n, COLUMNS));
  parallel(PRODUCT_MULTIPLY, p.tasks * p.parts);
  if (p.parts > 1) parallel(PRODUCT_ADD, ceilDiv(m * n, ADD));
  return 0;
}

/** Packs one block of K of some rows or columns of the smaller operand. */
export function productPackTask(task: i32): void {
  const p = args<Product>();
  const length = blockLength(p.k);
  if (packsA(p)) {
    const strips = ceilDiv(p.m, MC);
    const k0 = (task / strips) * length;
    const m0 = (task % strips) * MC;
    const rows = ceilDiv(p.m, MR) * MR;
    const to = control().arena + ((<usize>(task / strips) * rows + m0) * ROW) * 4;
    packA(p, to, m0, min(MC, p.m - m0), k0, min(length, p.k - k0));
  } else {
    const strips = ceilDiv(p.n, COLUMNS);
    const k0 = (task / strips) * length;
    const n0 = (task % strips) * COLUMNS;
    const k = min(length, p.k - k0);
    const to = control().arena + <usize>(task / strips) * panelBytes(length, p.n) + <usize>n0 * k * 4;
    packB(p, to, n0, min(COLUMNS, p.n - n0), k0, k);
  }
}

export function productMultiplyTask(task: i32, thread: i32): void {
  const p = args<Product>();
  const length = blockLength(p.k);
  const blocks = blocksOf(p.k);
  const part = task / p.tasks;
  // The longest columns of a triangle come first.
  const at = (p.tasks - 1 - (task % p.tasks)) * p.step;
  const arena = control().arena;
  const own = scratch(thread);
  const rows = ceilDiv(p.m, MR) * MR;
  const ldc = <usize>p.n * 4;
  const c = p.parts > 1 ? p.partial + <usize>part * p.m * p.n * 4 : p.c;
  const first = part * p.share;
  const end = min(first + p.share, blocks);
  for (let block = first; block < end; block++) {
    const k0 = block * length;
    const k = min(length, p.k - k0);
    if (p.upper == UPPER_B && packsA(p) && k0 >= at + p.step && block > first) break;
    const edge = own + (packsA(p) ? panelBytes(KC, p.step) : <usize>(MC * ROW * 4));
    if (packsA(p)) {
      const n = min(p.step, p.n - at);
      packB(p, own, at, n, k0, k);
      const a = arena + <usize>block * rows * ROW * 4;
      const strip = p.upper == UPPER_C ? STRIP : n;
      for (let m0 = 0; m0 < p.m; m0 += MC) {
        for (let j = 0; j < n; j += strip) {
          const m = min(MC, (p.upper == UPPER_C ? min(p.m, at + j + strip) : p.m) - m0);
          const to = c + <usize>m0 * ldc + <usize>(at + j) * 4;
          const b = own + <usize>(j * k) * 4;
          multiply(false, a + <usize>(m0 * ROW * 4), 0, b, to, ldc, m, min(strip, n - j), k, block > first, edge);
        }
      }
    } else {
      const m = min(p.step, p.m - at);
      packA(p, own, at, m, k0, k);
      // The first block writes all columns of C; in a triangle, it also writes zeros to the left.
      let n0 = p.upper == UPPER_C ? (at / NR) * NR : p.upper == UPPER_B && block > first ? min(p.n, (k0 / NR) * NR) : 0;
      const b = arena + <usize>block * panelBytes(length, p.n);
      const to = c + <usize>at * ldc;
      // B's column j ends in row j.
      for (; p.upper == UPPER_B && n0 < min(p.n, k0 + k); n0 += NR) {
        const rows = n0 < k0 ? k : min(k, n0 + NR - k0);
        const n = min(NR, p.n - n0);
        multiply(false, own, 0, b + <usize>(n0 * k) * 4, to + <usize>n0 * 4, ldc, m, n, rows, block > first, edge);
      }
      if (n0 < p.n) {
        multiply(false, own, 0, b + <usize>(n0 * k) * 4, to + <usize>n0 * 4, ldc, m, p.n - n0, k, block > first, edge);
      }
    }
  }
  if (p.upper == UPPER_C) clearLower(p, c, at);
}

/** Clears the entries below the diagonal in the rows or columns of the task. */
function clearLower(p: Product, c: usize, at: i32): void {
  if (packsA(p)) {
    const end = min(at + p.step, p.n);
    for (let i = at + 1; i < p.m; i++) clear(c + (<usize>i * p.n + at) * 4, min(i, end) - at);
  } else {
    for (let i = at; i < min(at + p.step, p.m); i++) clear(c + <usize>i * p.n * 4, min(i, p.n));
  }
}

export function productAddTask(task: i32): void {
  const p = args<Product>();
  const size = p.m * p.n;
  addParts(p.c, p.partial, size, p.parts, task * ADD, min((task + 1) * ADD, size));
}

function packA(p: Product, to: usize, m0: i32, m: i32, k0: i32, k: i32): void {
  if (p.transposeA) {
    const stride = <usize>p.m * 4;
    transpose(to, ROW * 4, p.a + <usize>k0 * stride + <usize>m0 * 4, stride, m, k);
  } else {
    const stride = <usize>p.k * 4;
    rowsFromRows(to, p.a + <usize>m0 * stride + <usize>k0 * 4, stride, m, k);
  }
}

function packB(p: Product, to: usize, n0: i32, n: i32, k0: i32, k: i32): void {
  if (p.transposeB) {
    const stride = <usize>p.k * 4;
    panelsFromColumns(to, p.b + <usize>n0 * stride + <usize>k0 * 4, stride, k, n);
  } else {
    const stride = <usize>p.n * 4;
    panelsFromRows(to, p.b + <usize>k0 * stride + <usize>n0 * 4, stride, k, n);
  }
}
