/** Krotov and Hopfield's rule: the best unit learns the input, one of a lower rank unlearns it. */
import { ConfigurationError, type Hyperparameter, type LocalRule } from '@ghl/core';
import {
  hyperparameter,
  number,
  type Plugin,
  readOptions,
  type Stateless,
  specOf,
  statelessRule,
  valueAt,
  whole,
} from '@ghl/core/plugin';
import * as tf from '@tensorflow/tfjs-core';

/** Options of {@link krotov}. */
export interface KrotovOptions {
  /** p ≥ 1: the weights of a unit that learns converge to Σ|w|ᵖ = 1. Default 2. The larger p, the sparser they are. */
  readonly p?: number;
  /** k ≥ 2: the rank of the unit that unlearns, 1 being the best. Default 2. At most the number of units. */
  readonly rank?: number;
  /** Δ ≥ 0, a number or a schedule: how strongly it unlearns. Default 0.4. */
  readonly delta?: Hyperparameter;
}

/**
 * The rule of Krotov and Hopfield, Δw_k = Σₚ g_pk · (xₚ − Q_pk · w_k) with the current Q = Σ sgn(w)·|w|ᵖ⁻¹·x: gate g,
 * reconstruction Q, scope own. At each position, g is 1 for the unit with the largest Q, −Δ for the unit of rank k, and
 * 0 for the others. Of equal units, the first has the better rank. With p = 2, Q is y.
 *
 * Σ sgn(w)·|w|ᵖ⁻¹·Δw = (Σₚ g·Q)·(1 − Σ|w|ᵖ), so a unit with Σₚ g·Q > 0 converges to Σ|w|ᵖ = 1. Summed over batch and
 * positions. `maxAbs(krotov())` divides the step by its largest entry, as the published code does.
 *
 * @returns A rule without state. Its `init` throws ConfigurationError `BAD_VALUE` if the layer has fewer than k units.
 * @throws ConfigurationError `BAD_VALUE`, `UNKNOWN_OPTION`.
 * @see Krotov and Hopfield, "Unsupervised learning by competing hidden units", PNAS 116, 2019.
 * @example
 * ```ts
 * import { stepOnce } from '@ghl/conformance/testing';
 * import { krotov } from '@ghl/rule-krotov';
 * import '@tensorflow/tfjs-backend-cpu';
 *
 * // w₁ = [1, 0] and w₂ = [0, 1] give y = [1, 2]: unit 2 learns 1·(x − 2·w₂), unit 1 unlearns 0.5·(x − 1·w₁).
 * const weights = [
 *   [1, 0],
 *   [0, 1],
 * ];
 * console.log(stepOnce(krotov({ delta: 0.5 }), { input: [[1, 2]], weights }));
 * // => [ [ 0, 1 ], [ -1, 0 ] ]
 * ```
 */
export function krotov(options: KrotovOptions = {}): LocalRule<Stateless> {
  const { p, rank, delta } = readOptions('krotov', options, {
    p: number(2, { least: 1 }),
    rank: whole(2, { least: 2 }),
    delta: hyperparameter(0.4, { least: 0 }),
  });
  const rule = statelessRule(specOf('krotov', { p, rank, delta }), ({ post: y, weights: w, units, step, forward }) => {
    const current = p === 2 ? y : forward(tf.mul(tf.sign(w), tf.pow(tf.abs(w), p - 1)));
    const ranked = tf.unstack(tf.topk(current, rank).indices, 1) as tf.Tensor1D[];
    const learns = tf.oneHot(ranked[0] as tf.Tensor1D, units.fanOut, 1, 0, 'float32');
    const unlearns = tf.oneHot(ranked[rank - 1] as tf.Tensor1D, units.fanOut, valueAt(delta, step), 0, 'float32');
    return { gate: tf.sub(learns, unlearns) as tf.Tensor2D, reconstruction: current, scope: 'own' };
  });
  return { ...rule, init: ({ fanOut }) => checkRank(rank, fanOut) };
}

function checkRank(rank: number, fanOut: number): Stateless {
  if (rank <= fanOut) return {};
  throw new ConfigurationError(
    'BAD_VALUE',
    `krotov rank is ${rank}, in a layer of ${fanOut} units.`,
    'give a rank of at most the number of units.',
  );
}

/** Krotov and Hopfield's rule, described for lists and tests of parts. */
export const plugin: Plugin = {
  kind: 'rule',
  name: 'krotov',
  make: krotov,
  examples: [[], [{ p: 3, rank: 3, delta: 0.1 }]],
};
