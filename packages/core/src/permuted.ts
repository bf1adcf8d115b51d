/** The magnitudes of ΔW in random places: the distribution of a local factor without its pattern. */
import * as tf from '@tensorflow/tfjs-core';
import { checkNumber } from './checks.js';
import { type LocalRule, wrap } from './local-rule.js';
import { specOf } from './spec.js';
import type { StateTree } from './state.js';

/**
 * Shuffles |ΔW| over the weights of the layer, in a new order at each step. Each weight keeps the sign of its ΔW, or
 * takes + where ΔW is 0. With the sign modulator, it separates the distribution of the magnitudes from their pattern.
 *
 * The order follows from the seed and the step, so that a resumed run repeats it. Give each layer its own seed: layers
 * of the same size with the same seed have the same order.
 *
 * @param rule The rule whose ΔW is shuffled. A third factor per example is rejected.
 * @param seed A whole number.
 * @throws ConfigurationError `BAD_VALUE` for a bad seed, or unless `rule` is a local rule.
 * @example
 * ```ts
 * import { stepOnce } from '@ghl/conformance/testing';
 * import { permuted } from '@ghl/core';
 * import { oja } from '@ghl/rule-oja';
 * import '@tensorflow/tfjs-backend-cpu';
 *
 * // y = 1·2 + 2·0 = 2, and ΔW = 2·([1, 2] − 2·[2, 0]) = [−6, 4].
 * const layer = { input: [[1, 2]], weights: [[2], [0]] };
 * console.log(stepOnce(oja(), layer), stepOnce(permuted(oja(), 9), layer));
 * // => [ [ -6 ], [ 4 ] ] [ [ -4 ], [ 6 ] ]
 * ```
 */
export function permuted<S extends StateTree>(rule: LocalRule<S>, seed: number): LocalRule<S> {
  checkNumber('permuted seed', seed);
  checkNumber('permuted seed modulo 1', seed % 1, { least: 0, most: 0 });
  return wrap(rule, 'permuted', {
    spec: specOf('permuted', seed),
    linear: false,
    init: () => ({}),
    wrap: (eligibility, { step }, state) => ({
      apply: () => {
        const places = tf.tensor1d(permutation(eligibility.size, seed, step), 'int32');
        const shuffled = tf.reshape(tf.gather(tf.reshape(tf.abs(eligibility), [-1]), places), eligibility.shape);
        return tf.where(tf.less(eligibility, 0), tf.neg(shuffled), shuffled);
      },
      state,
    }),
  });
}

/** A random order of `size` places, by the algorithm of Fisher and Yates. */
function permutation(size: number, seed: number, step: number): Int32Array {
  const places = Int32Array.from({ length: size }, (_, i) => i);
  const next = generator(mix(mix(seed) ^ step));
  for (let last = size - 1; last > 0; last--) {
    const other = Math.floor((next() / 2 ** 32) * (last + 1));
    const place = places[last] as number;
    places[last] = places[other] as number;
    places[other] = place;
  }
  return places;
}

/**
 * Numbers of 32 bits by SplitMix: a counter, whose bits are then mixed.
 *
 * @see Steele et al., "Fast splittable pseudorandom number generators", OOPSLA 2014.
 */
function generator(start: number): () => number {
  let state = start;
  return () => {
    state = (state + 0x9e3779b9) | 0;
    return mix(state);
  };
}

/** The finaliser of MurmurHash3, which spreads every bit of a number over all 32. */
function mix(bits: number): number {
  let mixed = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}
