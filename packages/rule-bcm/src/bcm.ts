/** The Bienenstock–Cooper–Munro rule: potentiation above a threshold, depression below, and a threshold that slides. */
import type { Hyperparameter, LocalRule } from '@ghl/core';
import {
  checkNotEmpty,
  columnDots,
  flag,
  hyperparameter,
  number,
  readOptions,
  specOf,
  valueAt,
} from '@ghl/core/plugin';
import * as tf from '@tensorflow/tfjs-core';

/** Options of {@link bcm}. */
export interface BcmOptions {
  /** ρ in [0, 1], a number or a schedule: how fast θ follows. Default 0.1. It must outrun the weights. */
  readonly rate?: Hyperparameter;
  /** θ before the first step. Default 1. */
  readonly theta?: number;
  /** Whether the gate is divided by θ (Law and Cooper's form). Default false. */
  readonly divide?: boolean;
}

/** The state of {@link bcm}. */
export type BcmState = {
  /** θ, the sliding threshold of each unit: [K]. */
  readonly theta: tf.Tensor;
};

/**
 * BCM, Δw_k = Σₚ y_pk (y_pk − θ_k) · xₚ: gate y(y − θ), scope none. The threshold is an exponential mean of the unit's
 * own activity, θ ← (1 − ρ)θ + ρ·meanₚ y², advanced by this batch before it is used. With `divide`, the gate is
 * y(y − θ)/θ, and 0 where θ is 0.
 *
 * On n linearly independent patterns of probabilities pᵢ, the stable fixed points answer 1/pᵢ to one of them and 0 to
 * the rest, with θ = 1/pᵢ. Summed over batch and positions.
 *
 * @returns A rule whose state is θ, [K].
 * @throws ConfigurationError `BAD_VALUE`, `UNKNOWN_OPTION`.
 * @see Bienenstock, Cooper and Munro, J. Neuroscience 2, 1982; Law and Cooper, PNAS 91, 1994, for the divided form.
 * @example
 * ```ts
 * import { stepOnce } from '@ghl/conformance/testing';
 * import { bcm } from '@ghl/rule-bcm';
 * import '@tensorflow/tfjs-backend-cpu';
 *
 * // y = 1·1 + 2·0.5 = 2, θ ← ½·1 + ½·y² = 2.5, and ΔW = y·(y − θ)·x = −1·x.
 * console.log(stepOnce(bcm({ rate: 0.5 }), { input: [[1, 2]], weights: [[1], [0.5]] }));
 * // => [ [ -1 ], [ -2 ] ]
 * ```
 */
export function bcm(options: BcmOptions = {}): LocalRule<BcmState> {
  const { rate, theta, divide } = readOptions('bcm', options, {
    rate: hyperparameter(0.1, { least: 0, most: 1 }),
    theta: number(1),
    divide: flag(false),
  });
  return {
    spec: specOf('bcm', { rate, theta, divide }),
    init: ({ fanOut }) => ({ theta: tf.fill([fanOut], theta) }),
    gate({ post: y, step }, state) {
      checkNotEmpty('bcm', { post: y });
      const rho = valueAt(rate, step);
      const slid = tf.add(tf.mul(state.theta, 1 - rho), tf.mul(columnDots(y, y), rho / y.shape[0]));
      const gate = tf.mul(y, tf.sub(y, slid)) as tf.Tensor2D;
      return { gate: divide ? (tf.divNoNan(gate, slid) as tf.Tensor2D) : gate, scope: 'none', state: { theta: slid } };
    },
  };
}
