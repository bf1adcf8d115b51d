/** The loops around the micro-kernels: a block of A in the second-level cache times panels of B. */
import { MR, NR, ROW, tileColumns, tileRows } from '../dist/wasm/tile';
import { min } from './pack';

/** The size of the temporary tile for an edge. */
export const EDGE: usize = MR * NR * 4;

/**
 * C[m, n] (+)= A[m, k] · B[k, n], C's rows `ldc` bytes apart, B in panels of k.
 *
 * @param columns Whether A is transposed: A[i, p] at a + p · stride + i, else at a + i · ROW + p.
 */
export function multiply(
  columns: bool,
  a: usize,
  stride: usize,
  b: usize,
  c: usize,
  ldc: usize,
  m: i32,
  n: i32,
  k: i32,
  accumulate: bool,
  edge: usize,
): void {
  for (let j = 0; j < n; j += NR) {
    for (let i = 0; i < m; i += MR) {
      const whole = i + MR <= m && j + NR <= n;
      const target = whole ? c + <usize>i * ldc + <usize>j * 4 : edge;
      const apart = whole ? ldc : <usize>(NR * 4);
      if (columns) tileColumns(k, a + <usize>i * 4, stride, b, target, apart, whole && accumulate);
      else tileRows(k, a + <usize>i * (ROW * 4), b, target, apart, whole && accumulate);
      if (!whole) {
        merge(edge, c + <usize>i * ldc + <usize>j * 4, ldc, min(MR, m - i), min(NR, n - j), accumulate);
      }
    }
    b += <usize>k * NR * 4;
  }
}

function merge(edge: usize, c: usize, ldc: usize, rows: i32, columns: i32, accumulate: bool): void {
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < columns; j++) {
      const at = c + <usize>i * ldc + <usize>j * 4;
      const value = load<f32>(edge + <usize>(i * NR + j) * 4);
      store<f32>(at, accumulate ? load<f32>(at) + value : value);
    }
  }
}

/** out[i] = Σ over `parts` of parts[part · size + i], i from `from` to `to`, in the order of the parts. */
export function addParts(out: usize, from: usize, size: usize, parts: i32, start: usize, end: usize): void {
  for (let i = start; i < end; i++) {
    let sum = load<f32>(from + i * 4);
    for (let p = 1; p < parts; p++) sum += load<f32>(from + (<usize>p * size + i) * 4);
    store<f32>(out + i * 4, sum);
  }
}
