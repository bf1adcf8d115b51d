/**
 * Copies of operands in the order in which the micro-kernels read them.
 *
 *     rows      A[m, k] at m · ROW + k: six rows at a constant distance, K in blocks of at most KC
 *     panels    B[k, n] at panel + k · NR + n mod NR, each block of K in panels of NR columns
 *
 * Rows and columns beyond an edge are not written: their values do not affect any result.
 */
import { NR, ROW } from '../dist/wasm/tile';

/** The longest block of K. */
export const KC: i32 = 192;
/** Rows of A, or columns of its transpose, that fit the second-level cache. */
export const MC: i32 = 192;

// @ts-ignore: decorator
@inline
export function min(a: i32, b: i32): i32 {
  return a < b ? a : b;
}

// @ts-ignore: decorator
@inline
export function max(a: i32, b: i32): i32 {
  return a > b ? a : b;
}

// @ts-ignore: decorator
@inline
export function ceilDiv(a: i32, b: i32): i32 {
  return (a + b - 1) / b;
}

/** The number of blocks of K. All but the last have the length `blockLength`. */
export function blocksOf(k: i32): i32 {
  return ceilDiv(k, KC);
}

export function blockLength(k: i32): i32 {
  return ceilDiv(ceilDiv(k, blocksOf(k)), 4) * 4;
}

/** Bytes of a block of panels: n columns of k. */
export function panelBytes(k: i32, n: i32): usize {
  return <usize>k * ceilDiv(n, NR) * NR * 4;
}

/** Copies n floats. */
export function copy(to: usize, from: usize, n: i32): void {
  const vectorEnd = to + ((<usize>n >> 2) << 4);
  const end = to + ((<usize>n) << 2);
  while (to < vectorEnd) {
    v128.store(to, v128.load(from));
    to += 16;
    from += 16;
  }
  while (to < end) {
    store<f32>(to, load<f32>(from));
    to += 4;
    from += 4;
  }
}

/** Writes n zeros. */
export function clear(to: usize, n: i32): void {
  const vectorEnd = to + ((<usize>n >> 2) << 4);
  const end = to + ((<usize>n) << 2);
  const zero = f32x4.splat(0);
  while (to < vectorEnd) {
    v128.store(to, zero);
    to += 16;
  }
  while (to < end) {
    store<f32>(to, 0);
    to += 4;
  }
}

/** to[i, j] = from[j, i] for i < rows, j < columns; strides in bytes from row to row. */
export function transpose(
  to: usize,
  toStride: usize,
  from: usize,
  fromStride: usize,
  rows: i32,
  columns: i32,
): void {
  let j = 0;
  for (; j + 4 <= columns; j += 4) {
    let source = from + <usize>j * fromStride;
    let target = to + <usize>j * 4;
    let i = 0;
    for (; i + 4 <= rows; i += 4) {
      const r0 = v128.load(source);
      const r1 = v128.load(source + fromStride);
      const r2 = v128.load(source + 2 * fromStride);
      const r3 = v128.load(source + 3 * fromStride);
      const l01 = v128.shuffle<f32>(r0, r1, 0, 4, 1, 5);
      const h01 = v128.shuffle<f32>(r0, r1, 2, 6, 3, 7);
      const l23 = v128.shuffle<f32>(r2, r3, 0, 4, 1, 5);
      const h23 = v128.shuffle<f32>(r2, r3, 2, 6, 3, 7);
      v128.store(target, v128.shuffle<f32>(l01, l23, 0, 1, 4, 5));
      v128.store(target + toStride, v128.shuffle<f32>(l01, l23, 2, 3, 6, 7));
      v128.store(target + 2 * toStride, v128.shuffle<f32>(h01, h23, 0, 1, 4, 5));
      v128.store(target + 3 * toStride, v128.shuffle<f32>(h01, h23, 2, 3, 6, 7));
      source += 16;
      target += 4 * toStride;
    }
    for (; i < rows; i++) {
      for (let d = 0; d < 4; d++) store<f32>(target + <usize>d * 4, load<f32>(source + <usize>d * fromStride));
      source += 4;
      target += toStride;
    }
  }
  for (; j < columns; j++) {
    let source = from + <usize>j * fromStride;
    let target = to + <usize>j * 4;
    for (let i = 0; i < rows; i++) {
      store<f32>(target, load<f32>(source));
      source += 4;
      target += toStride;
    }
  }
}

/** Panels of B[k, n] in row order, with `stride` bytes from row to row. */
export function panelsFromRows(to: usize, from: usize, stride: usize, k: i32, n: i32): void {
  for (let j = 0; j < n; j += NR) {
    const width = min(NR, n - j);
    let source = from + <usize>j * 4;
    if (width == NR) {
      for (let i = 0; i < k; i++) {
        v128.store(to, v128.load(source));
        v128.store(to, v128.load(source, 16), 16);
        if (NR == 16) {
          v128.store(to, v128.load(source, 32), 32);
          v128.store(to, v128.load(source, 48), 48);
        }
        source += stride;
        to += NR * 4;
      }
    } else {
      for (let i = 0; i < k; i++) {
        copy(to, source, width);
        source += stride;
        to += NR * 4;
      }
    }
  }
}

/** Panels of B[k, n] in column order, with `stride` bytes from column to column. */
export function panelsFromColumns(to: usize, from: usize, stride: usize, k: i32, n: i32): void {
  for (let j = 0; j < n; j += NR) {
    transpose(to, NR * 4, from + <usize>j * stride, stride, k, min(NR, n - j));
    to += <usize>k * NR * 4;
  }
}

/** Rows of A[m, k] in row order, with `stride` bytes from row to row. */
export function rowsFromRows(to: usize, from: usize, stride: usize, m: i32, k: i32): void {
  for (let i = 0; i < m; i++) {
    copy(to, from, k);
    from += stride;
    to += ROW * 4;
  }
}
