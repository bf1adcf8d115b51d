/**
 * A running baseline: the expected value of a signal. It starts at the first value seen, so a constant changes
 * nothing.
 */
import * as tf from '@tensorflow/tfjs-core';
import { checkNotEmpty, checkNumber } from './checks.js';

/** The state of a baseline. */
export type BaselineState = {
  /** r̄: []. Not read before a value has been seen. */
  readonly mean: tf.Tensor;
  /** 1 once a value has been seen, 0 before: []. */
  readonly seen: tf.Tensor;
};

/** The result of {@link predictionError}. */
export interface PredictionError {
  /** signal − r̄, in the signal's shape, with the r̄ from before this value; 0 on average at the first. */
  readonly error: tf.Tensor;
  /** The baseline after this value. */
  readonly state: BaselineState;
}

/** The baseline before the first value. */
export function initBaseline(): BaselineState {
  return { mean: tf.scalar(0), seen: tf.scalar(0) };
}

/**
 * Compares a signal with its baseline, then lets the baseline follow: r̄ ← λ·r̄ + (1 − λ)·r, where r is the mean of the
 * signal if it has several values.
 *
 * @param signal Any shape.
 * @param rate λ in [0, 1]: 0 is the previous value, 1 the first.
 * @throws DataError `EMPTY_TENSOR` for a signal without values.
 * @throws ConfigurationError `BAD_VALUE` unless λ is in [0, 1].
 */
export function predictionError({ mean, seen }: BaselineState, signal: tf.Tensor, rate: number): PredictionError {
  checkNumber('The rate of a baseline', rate, { least: 0, most: 1 });
  checkNotEmpty('A baseline', { signal });
  const value = tf.mean(signal);
  const before = tf.add(tf.mul(mean, seen), tf.mul(value, tf.sub(1, seen)));
  const after = tf.add(tf.mul(before, rate), tf.mul(value, 1 - rate));
  return { error: tf.sub(signal, before), state: { mean: after, seen: tf.onesLike(seen) } };
}
