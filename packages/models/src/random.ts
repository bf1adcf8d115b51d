/**
 * Random numbers that follow from whole numbers alone, the same in every process: seeds for the initializers, masks for
 * dropout. Our own, since seeded generators on the registry hand out one number per call, which costs more than the
 * dropout layer itself at 1.5 million units.
 */

/** Mixes whole numbers, each to its full 53 bits, into one of 32 bits (MurmurHash3, Austin Appleby, public domain). */
function mix(...numbers: readonly number[]): number {
  let hash = 0x9e3779b9;
  for (const number of numbers) {
    for (const word of [number | 0, Math.floor(number / 2 ** 32) | 0]) {
      let k = Math.imul(word, 0xcc9e2d51);
      k = Math.imul((k << 15) | (k >>> 17), 0x1b873593);
      hash ^= k;
      hash = (Math.imul((hash << 13) | (hash >>> 19), 5) + 0xe6546b64) | 0;
    }
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/** A seed for what `name` names. Never 0, which TensorFlow.js's normal generator takes for "no seed". */
export function seedFor(seed: number, name: string): number {
  return mix(seed, ...[...name].map((letter) => letter.codePointAt(0)!)) || 1;
}

/**
 * `size` values that are 0 with probability `rate` and 1 / (1 − rate) otherwise, drawn by sfc32 (Chris Doty-Humphrey,
 * PractRand) from a state mixed from `numbers`. The rate is resolved to 2⁻³¹.
 */
export function dropMask(size: number, rate: number, ...numbers: readonly number[]): Float32Array {
  let a = mix(0, ...numbers) | 0;
  let b = mix(1, ...numbers) | 0;
  let c = mix(2, ...numbers) | 0;
  let counter = 1;
  const threshold = Math.min(Math.round(rate * 2 ** 31), 2 ** 31 - 1);
  const mask = new Float32Array(size);
  mask[0] = 1 / (1 - rate);
  // A random branch per unit would cost more than the draw: the sign of (draw − threshold) clears the bits instead.
  const bits = new Int32Array(mask.buffer);
  const kept = bits[0]!;
  const warmUp = 12;
  for (let i = -warmUp; i < size; i++) {
    const draw = (((a + b) | 0) + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (((c << 21) | (c >>> 11)) + draw) | 0;
    if (i >= 0) bits[i] = kept & ~(((draw >>> 1) - threshold) >> 31);
  }
  return mask;
}
