/**
 * Random numbers that follow from whole numbers alone, the same in every process: seeds for the initializers, masks for
 * dropout. Our own, since those on the registry draw one after another, one number per call: a mask is drawn unit by
 * unit from its place, so that any backend can draw any part of it.
 */
import type { DropoutAttributes } from '@ghl/core/backend';

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

/** Dropout of a rate, which is resolved to 2⁻³¹, drawn as whole numbers say. */
export function dropping(rate: number, ...numbers: readonly number[]): DropoutAttributes {
  return {
    key: [mix(0, ...numbers), mix(1, ...numbers)],
    threshold: Math.min(Math.round(rate * 2 ** 31), 2 ** 31 - 1),
    scale: 1 / (1 - rate),
  };
}

/** `size` values: 0 for dropped units and `scale` for the others, by the draws of `DROPOUT` in @ghl/core. */
export function dropMask(size: number, { key, threshold, scale }: DropoutAttributes): Float32Array {
  const mask = new Float32Array(Math.ceil(size / 8) * 8);
  mask[0] = scale;
  // A random branch per unit would cost more than the draw: the sign of (draw − threshold) clears the bits instead.
  const bits = new Int32Array(mask.buffer);
  const kept = bits[0]!;
  const [k0, k1] = [key[0] | 0, key[1] | 0];
  const k2 = 0x1bd11bda ^ k0 ^ k1;
  for (let counter = 0; counter < mask.length / 2; counter++) {
    let a = (counter + k0) | 0;
    let b = k1;
    for (let round = 0; round < 3; round++) {
      const even = (round & 1) === 0;
      a = (a + b) | 0;
      b = a ^ (even ? (b << 13) | (b >>> 19) : (b << 17) | (b >>> 15));
      a = (a + b) | 0;
      b = a ^ (even ? (b << 15) | (b >>> 17) : (b << 29) | (b >>> 3));
      a = (a + b) | 0;
      b = a ^ (even ? (b << 26) | (b >>> 6) : (b << 16) | (b >>> 16));
      a = (a + b) | 0;
      b = a ^ (even ? (b << 6) | (b >>> 26) : (b << 24) | (b >>> 8));
      a = (a + (round === 0 ? k1 : round === 1 ? k2 : k0)) | 0;
      b = (b + (round === 0 ? k2 : round === 1 ? k0 : k1) + round + 1) | 0;
    }
    a = (a + b) | 0;
    b = a ^ ((b << 17) | (b >>> 15));
    const unit = (counter >> 2) * 8 + (counter & 3);
    bits[unit] = kept & ~(((a >>> 1) - threshold) >> 31);
    bits[unit + 4] = kept & ~(((b >>> 1) - threshold) >> 31);
  }
  return mask.subarray(0, size);
}
