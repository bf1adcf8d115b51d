/** A running baseline: what a signal is expected to be. It starts at the first value seen, so a constant changes nothing. */
import * as tf from '@tensorflow/tfjs-core';

/** The baseline r̄ and whether it has seen a value (1) or not (0), both []. */
export type BaselineState = { readonly mean: tf.Tensor; readonly seen: tf.Tensor };

/** A baseline that has seen nothing. */
export function initBaseline(): BaselineState {
  return { mean: tf.scalar(0), seen: tf.scalar(0) };
}

/**
 * Compares a signal with its baseline, then lets the baseline follow: r̄ ← λ·r̄ + (1 − λ)·r, where r is the mean of the
 * signal if it has several values.
 *
 * @param signal Any shape.
 * @param rate λ in [0, 1]: 0 is the previous value, 1 the first.
 * @returns signal − r̄ with the r̄ from before this value, in the signal's shape, and the next state.
 */
export function deviation(
  { mean, seen }: BaselineState,
  signal: tf.Tensor,
  rate: number,
): { readonly deviation: tf.Tensor; readonly state: BaselineState } {
  const value = tf.mean(signal);
  const before = tf.add(tf.mul(mean, seen), tf.mul(value, tf.sub(1, seen)));
  const after = tf.add(tf.mul(before, rate), tf.mul(value, 1 - rate));
  return { deviation: tf.sub(signal, before), state: { mean: after, seen: tf.onesLike(seen) } };
}
