/** Competition between the units of a layer, the gate of several rules. */
import * as tf from '@tensorflow/tfjs-core';
import { COMPETITION, type CompetitionForm, hasKernel } from './backend/kernels.js';
import { checkNotEmpty, checkNumber } from './checks.js';
import type { GateResult } from './local-rule.js';

/** A gate, and its overlap with y if the backend computes it on the way, for a rule whose reconstruction is y. */
type Competition = Pick<GateResult<never>, 'gate' | 'overlap'>;

/** The smallest float32 number that every processor supports: a GPU may treat smaller ones as 0. */
const LEAST = 2 ** -126;

/**
 * The gate u = softmax_k(y/τ): the share of each unit at each position, with Σ_k u = 1. τ → 0 is winner-take-all; units
 * with the same largest y share. τ → ∞ gives equal shares.
 *
 * @param post y: [P, K], finite.
 * @param temperature τ > 0.
 * @param losers The factor of the shares of all units but the winner at each position, which is the first unit with
 * the largest y. Default 1.
 * @returns The gate. If the backend computes it on the way, also its overlap with y, for a rule whose reconstruction is
 * y.
 * @throws ConfigurationError `BAD_VALUE` for a temperature that is not a finite number above 0; DataError
 * `EMPTY_TENSOR` for no positions or no units.
 */
export function softmaxCompetition(post: tf.Tensor2D, temperature: number, losers: 1 | -1 = 1): Competition {
  checkNumber('The temperature of a competition', temperature, { above: 0 });
  checkNotEmpty('A competition', { post });
  if (hasKernel(COMPETITION) && temperature >= LEAST && temperature < 1 / LEAST) {
    return compete(post, losers === 1 ? 'shares' : 'signed', temperature);
  }
  const gate = shares(post, temperature);
  return { gate: losers === 1 ? gate : tf.mul(gate, tf.sub(tf.mul(hardCompetition(post).gate, 2), 1)) };
}

/**
 * The gate of winner-take-all: 1 for the units with the largest y at each position, 0 for all others. Of units with
 * the same y, the first wins.
 *
 * @param post y: [P, K], finite.
 * @param winners Units that win at each position, at least 1: all units if there are fewer.
 * @returns The gate, with its overlap as of {@link softmaxCompetition}.
 * @throws DataError `EMPTY_TENSOR` for no positions or no units.
 */
export function hardCompetition(post: tf.Tensor2D, winners = 1): Competition {
  checkNotEmpty('A competition', { post });
  const first = winner(post);
  if (winners === 1) return first;
  let { gate } = first;
  for (let rank = 2; rank <= Math.min(winners, post.shape[1]); rank++) {
    const remaining = tf.where(tf.cast(gate, 'bool'), Number.NEGATIVE_INFINITY, post) as tf.Tensor2D;
    gate = tf.add(gate, winner(remaining).gate);
  }
  return { gate };
}

/** 1 for the first unit with the largest y. */
function winner(post: tf.Tensor2D): Competition {
  if (hasKernel(COMPETITION)) return compete(post, 'winner', 1);
  const isWinner = tf.equal(tf.expandDims(tf.argMax(post, 1), 1), tf.range(0, post.shape[1], 1, 'int32'));
  return { gate: tf.cast(isWinner, 'float32') as tf.Tensor2D };
}

function compete(post: tf.Tensor2D, form: CompetitionForm, temperature: number): Competition {
  const outputs = tf.engine().runKernel(COMPETITION, { x: post }, { form, temperature }) as unknown as tf.Tensor[];
  return { gate: outputs[0] as tf.Tensor2D, overlap: outputs[1] as tf.Tensor1D };
}

/** softmax_k(y/τ). */
function shares(post: tf.Tensor2D, temperature: number): tf.Tensor2D {
  // Where float32 cannot hold τ or 1/τ, y and τ are multiplied by a power of two first. Beyond the bounds the gate is
  // the limit: differences of y, at least 2⁻¹⁴⁹ and then 2⁻²³, are over 100 times τ, or y, then under 4, does not
  // change it.
  if (temperature < LEAST) {
    return softmaxCompetition(tf.mul(behind(post), 1 / LEAST), Math.max(temperature / LEAST, 2 ** -100)).gate;
  }
  if (temperature >= 1 / LEAST) {
    return softmaxCompetition(tf.mul(post, LEAST), Math.min(temperature * LEAST, 2 ** 100)).gate;
  }
  // Divided by τ < 1, a large y would overflow.
  return tf.softmax(tf.div(temperature < 1 ? behind(post) : post, temperature));
}

/** y − max y: [P, K]. */
function behind(post: tf.Tensor2D): tf.Tensor2D {
  return tf.sub(post, tf.max(post, 1, true));
}
