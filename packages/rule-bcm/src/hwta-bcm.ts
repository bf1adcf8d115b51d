/** HWTa-BCM: a sliding threshold for the unit that wins each position by its similarity to the input. */
import type { Hyperparameter, LocalRule } from '@ghl/core';
import {
  checkNotEmpty,
  columnDots,
  hyperparameter,
  type LocalContext,
  number,
  readOptions,
  specOf,
  valueAt,
} from '@ghl/core/plugin';
import * as tf from '@tensorflow/tfjs-core';
import type { BcmState } from './bcm.js';

/** Options of {@link hwtaBcm} and {@link hwtaBcmOwn}. */
export interface HwtaBcmOptions {
  /** ρ in [0, 1], a number or a schedule: how fast θ follows. Default 0.5, as published. */
  readonly rate?: Hyperparameter;
  /** θ before the first step. Default 1, as published. */
  readonly theta?: number;
}

/**
 * HWTa-BCM as published, Δw_k = Σₚ z_pk (z_pk − θ_k) · xₚ: gate z(z − θ), scope none. z is the similarity s of the unit
 * with the largest s at a position, and 0 for the other units. The threshold is θ ← (1 − ρ)θ + ρ·meanₚ z², advanced by
 * this batch before it is used.
 *
 * s = xₚ·ŵ_k / ‖xₚ‖, where ŵ_k has unit norm over the channels of each kernel position, not over the whole kernel, so
 * |s| ≤ √(kh·kw). The mean counts the positions that a unit loses. It keeps θ so low that in a layer of many units
 * almost every winner exceeds it: ΔW rarely depresses. Summed over batch and positions.
 *
 * The published code also divides ΔW by its largest entry, which `maxAbs` does, and filters s by a difference of
 * Gaussians before the competition, which this rule does not.
 *
 * @returns A rule whose state is θ, [K].
 * @throws ConfigurationError `BAD_VALUE`, `UNKNOWN_OPTION`.
 * @see Jiménez Nimmo and Mondragón, "Advancing the Biological Plausibility and Efficacy of Hebbian Convolutional Neural
 * Networks", 2025.
 * @example
 * ```ts
 * import { stepOnce } from '@ghl/conformance/testing';
 * import { hwtaBcm } from '@ghl/rule-bcm';
 * import '@tensorflow/tfjs-backend-cpu';
 *
 * // w₁ = [5, 0] and w₂ = [0, 2] have the directions [1, 0] and [0, 1]: s = [3, 4]/5, and unit 2 wins with z = 0.8.
 * // θ = ½·0 + ½·0.64 = 0.32, and Δw₂ = 0.8·(0.8 − 0.32)·x = 0.384·x.
 * const weights = [
 *   [5, 0],
 *   [0, 2],
 * ];
 * const delta = stepOnce(hwtaBcm({ theta: 0 }), { input: [[3, 4]], weights });
 * console.log(delta.flat().map((each) => each.toFixed(3)).join(' '));
 * // => 0.000 1.152 0.000 1.536
 * ```
 */
export function hwtaBcm(options: HwtaBcmOptions = {}): LocalRule<BcmState> {
  return winnersBcm('hwtaBcm', options, ({ won }) => tf.mean(tf.square(won), 0));
}

/**
 * HWTa-BCM whose threshold follows the unit's own activity: as {@link hwtaBcm}, but θ_k ← (1 − ρ)θ_k + ρ·mean z_k² over
 * the positions that unit k wins. A unit that wins nowhere keeps its θ. So a winner below its usual level is depressed.
 *
 * @returns A rule whose state is θ, [K].
 * @throws ConfigurationError `BAD_VALUE`, `UNKNOWN_OPTION`.
 * @see Bienenstock, Cooper and Munro, J. Neuroscience 2, 1982, for a threshold on the unit's own activity.
 * @example
 * ```ts
 * import { stepOnce } from '@ghl/conformance/testing';
 * import { hwtaBcmOwn } from '@ghl/rule-bcm';
 * import '@tensorflow/tfjs-backend-cpu';
 *
 * // Unit 1 wins x = [1, 0] with z = 1, and x = [4, 3] with z = 0.8. With ρ = 1, θ₁ = (1 + 0.64)/2 = 0.82.
 * // Δw₁ = 1·(1 − 0.82)·[1, 0] + 0.8·(0.8 − 0.82)·[4, 3] = [0.116, −0.048].
 * const input = [
 *   [1, 0],
 *   [4, 3],
 * ];
 * const weights = [
 *   [1, 0],
 *   [0, 1],
 * ];
 * const delta = stepOnce(hwtaBcmOwn({ rate: 1 }), { input, weights });
 * console.log(delta.flat().map((each) => each.toFixed(3)).join(' '));
 * // => 0.116 0.000 -0.048 0.000
 * ```
 */
export function hwtaBcmOwn(options: HwtaBcmOptions = {}): LocalRule<BcmState> {
  return winnersBcm('hwtaBcmOwn', options, ({ won, wins, theta }) => {
    const count = tf.sum(wins, 0);
    return tf.where(tf.greater(count, 0), tf.divNoNan(columnDots(won, won), count), theta);
  });
}

/** The winner's similarity z [P, K], the one-hot code of the winner [P, K], and θ before the step [K]. */
interface Competition {
  readonly won: tf.Tensor2D;
  readonly wins: tf.Tensor2D;
  readonly theta: tf.Tensor;
}

/** @param level The value that θ follows, from the activity of this batch: [K]. */
function winnersBcm(name: string, options: HwtaBcmOptions, level: (activity: Competition) => tf.Tensor) {
  const { rate, theta } = readOptions(name, options, {
    rate: hyperparameter(0.5, { least: 0, most: 1 }),
    theta: number(1),
  });
  return {
    spec: specOf(name, { rate, theta }),
    init: ({ fanOut }) => ({ theta: tf.fill([fanOut], theta) }),
    gate(context, state) {
      checkNotEmpty(name, { post: context.post });
      const rho = valueAt(rate, context.step);
      const s = similarity(context);
      const wins = tf.oneHot(tf.argMax(s, 1) as tf.Tensor1D, s.shape[1], 1, 0, 'float32') as tf.Tensor2D;
      const won = tf.mul(s, wins) as tf.Tensor2D;
      const slid = tf.add(tf.mul(state.theta, 1 - rho), tf.mul(level({ won, wins, theta: state.theta }), rho));
      return { gate: tf.mul(won, tf.sub(won, slid)) as tf.Tensor2D, scope: 'none', state: { theta: slid } };
    },
  } satisfies LocalRule<BcmState>;
}

/** xₚ·ŵ_k / ‖xₚ‖, with ŵ_k of unit norm over the channels of each kernel position; 0 for an input of 0. */
function similarity({ weights, units, forward }: LocalContext): tf.Tensor2D {
  const byTap = tf.reshape(weights, [units.taps, -1, units.fanOut]);
  const directions = tf.divNoNan(byTap, tf.sqrt(tf.sum(tf.square(byTap), 1, true)));
  // One column is enough for units that read the same input.
  const ones = tf.ones([units.fanIn, units.groups === 1 ? 1 : units.fanOut]) as tf.Tensor2D;
  const lengths = tf.sqrt(forward(ones, tf.square));
  return tf.divNoNan(forward(tf.reshape(directions, weights.shape)), lengths);
}
