/** A scalar as third factor: the difference between a result and its expectation. */
import { ConfigurationError, type GlobalModulator, type Hyperparameter, type Signals } from '@ghl/core';
import {
  type BaselineState,
  checkNotEmpty,
  choice,
  hyperparameter,
  initBaseline,
  type PerExampleModulator,
  type Plugin,
  predictionError,
  readOptions,
  specOf,
  valueAt,
  type WeightModulator,
} from '@ghl/core/plugin';
import * as tf from '@tensorflow/tfjs-core';

/** Options of {@link scalar}, except `per`. */
export interface ScalarOptions {
  /** The signal. Default `'reward'`. */
  readonly on?: 'reward' | 'loss' | 'lossDifference';
  /** λ in [0, 1] of the running baseline r̄ ← λ·r̄ + (1 − λ)·r. Default 0.99. Not used by `'lossDifference'`. */
  readonly baseline?: Hyperparameter;
}

/**
 * A scalar modulator. Added to the weights:
 *
 *     on 'reward'           (r − r̄)·ΔW
 *     on 'loss'             (L̄ − L)·ΔW
 *     on 'lossDifference'   (Lₜ₋₁ − Lₜ)·ΔW
 *
 * Baselines start at the first value seen, so the first factor is 0 and a constant added to the reward changes nothing.
 * With `per: 'batch'` (default) a reward per example is averaged. With `per: 'example'` each example's share of ΔW has
 * its own factor rₚ − r̄; a single reward then counts for all examples.
 *
 * @returns A modulator that reads the reward or the loss, and keeps its baseline.
 * @throws ConfigurationError `BAD_VALUE`, `UNKNOWN_OPTION`, `PER_EXAMPLE_REFUSED` for a loss, which is one number.
 * @see Frémaux and Gerstner, Frontiers in Neural Circuits 9, 2016, on three-factor rules with reward prediction errors.
 * @example
 * ```ts
 * import { modulateEach } from '@ghl/conformance/testing';
 * import { scalar } from '@ghl/modulator-scalar';
 * import '@tensorflow/tfjs-backend-cpu';
 *
 * // r̄ starts at 1, and is then ½·1 + ½·3 = 2: the factors r − r̄ are 0, 2 and 1.
 * const rewards = [{ reward: 1 }, { reward: 3 }, { reward: 3 }];
 * console.log(modulateEach(scalar({ baseline: 0.5 }), [[1, 2]], rewards));
 * // => [ [ [ 0, 0 ] ], [ [ 2, 4 ] ], [ [ 1, 2 ] ] ]
 * ```
 */
export function scalar(
  options: ScalarOptions & { readonly on: 'loss' | 'lossDifference'; readonly per?: 'batch' },
): WeightModulator<'loss', BaselineState>;
export function scalar(
  options: ScalarOptions & { readonly on?: 'reward'; readonly per: 'example' },
): PerExampleModulator<'reward', BaselineState>;
export function scalar(
  options?: ScalarOptions & { readonly on?: 'reward'; readonly per?: 'batch' },
): WeightModulator<'reward', BaselineState>;
export function scalar(
  options: ScalarOptions & { readonly per?: 'batch' | 'example' } = {},
): GlobalModulator<'reward' | 'loss', BaselineState> {
  const { on, baseline, per } = readOptions('scalar', options, {
    on: choice(['reward', 'loss', 'lossDifference'], 'reward'),
    baseline: hyperparameter(0.99, { least: 0, most: 1 }),
    per: choice(['batch', 'example'], 'batch'),
  });
  if (per === 'example' && on !== 'reward') {
    throw new ConfigurationError(
      'PER_EXAMPLE_REFUSED',
      `scalar has per: 'example' on '${on}', which is one number.`,
      "use per: 'batch', or pass one reward per example and read that.",
    );
  }
  const signal = on === 'reward' ? 'reward' : 'loss';
  const towards = on === 'reward' ? 1 : -1;
  const surprise = (value: tf.Tensor, state: BaselineState, step: number) => {
    const prediction = predictionError(state, value, on === 'lossDifference' ? 0 : valueAt(baseline, step));
    return { factor: tf.mul(prediction.error, towards), state: prediction.state };
  };
  const common = { spec: specOf('scalar', { on, baseline, per }), reads: [signal] as const, init: initBaseline };
  if (per === 'batch') {
    return {
      ...common,
      actsOn: 'weights',
      modulate(eligibility, signals, { step }, before) {
        // Averaged first, so that the first factor is 0 exactly, not the mean of numbers that add up to nearly 0.
        const value = (signals as Signals)[signal];
        checkNotEmpty('scalar', { [signal]: value });
        const { factor, state } = surprise(tf.mean(value), before, step);
        return { increment: tf.mul(eligibility, factor), state };
      },
    };
  }
  return {
    ...common,
    actsOn: 'example',
    factor(signals, { step, batch }, before) {
      const { factor, state } = surprise((signals as Signals)[signal], before, step);
      return { factor: (factor.rank === 0 ? tf.mul(tf.ones([batch]), factor) : factor) as tf.Tensor1D, state };
    },
  };
}

/** The scalar, described for lists and tests of parts. */
export const plugin: Plugin = {
  kind: 'modulator',
  name: 'scalar',
  make: scalar,
  examples: [[], [{ per: 'example' }], [{ on: 'loss' }], [{ on: 'lossDifference' }]],
};
