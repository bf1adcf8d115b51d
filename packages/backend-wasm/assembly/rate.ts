/** Runs the micro-kernel alone, to compare the speed of variants. */
import { MR, NR, ROW, tileRows } from '../dist/wasm/tile';
import { KC } from './pack';

/** The multiplications and additions of one round of `rate`. */
export function rateFlops(): i32 {
  return 2 * MR * NR * KC;
}

/** The size of the memory of `rate`, in bytes. */
export function rateBytes(): i32 {
  return (MR * ROW + KC * NR + MR * NR) * 4;
}

export function rate(at: usize, rounds: i32): void {
  const b = at + MR * ROW * 4;
  const c = b + KC * NR * 4;
  for (let i = 0; i < rounds; i++) tileRows(KC, at, b, c, NR * 4, false);
}
