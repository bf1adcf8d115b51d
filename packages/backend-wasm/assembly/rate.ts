/** The micro-kernel alone, for a choice between variants by their speed. */
import { MR, NR, ROW, tileRows } from '../dist/wasm/tile';
import { KC } from './pack';

/** Multiplies and adds of one `rate` round. */
export function rateFlops(): i32 {
  return 2 * MR * NR * KC;
}

/** Bytes that `rate` works on. */
export function rateBytes(): i32 {
  return (MR * ROW + KC * NR + MR * NR) * 4;
}

export function rate(at: usize, rounds: i32): void {
  const b = at + MR * ROW * 4;
  const c = b + KC * NR * 4;
  for (let i = 0; i < rounds; i++) tileRows(KC, at, b, c, NR * 4, false);
}
