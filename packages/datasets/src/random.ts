/**
 * Seeded random numbers, addressed by name: the same key gives the same stream on every machine, and every use has its
 * own key, so that no draw depends on earlier draws.
 */
import seedrandom from 'seedrandom';

/**
 * A stream of numbers in [0, 1), and of 32-bit integers. ARC4 keyed by the parts of `key` (integer arithmetic only).
 */
export function random(...key: readonly (string | number)[]): seedrandom.PRNG {
  return seedrandom(key.join('/'));
}

/** A uniformly random order of 0 … `count` − 1 (Fisher–Yates). */
export function permutation(count: number, draw: () => number): Uint32Array {
  const order = Uint32Array.from({ length: count }, (_, i) => i);
  for (let last = count - 1; last > 0; last--) {
    const other = Math.floor(draw() * (last + 1));
    [order[last], order[other]] = [order[other]!, order[last]!];
  }
  return order;
}
