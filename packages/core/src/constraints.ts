/** Constraints of the new weights W + Δ: a norm per unit, bounds, signs and zeros. */
import * as tf from '@tensorflow/tfjs-core';
import type { Operation } from './backend/kernels.js';
import { checkNumber } from './checks.js';
import { ConfigurationError } from './errors.js';
import { number, readOptions } from './options.js';
import { type Spec, specOf } from './spec.js';
import type { StateTree } from './state.js';
import { statelessTransform, type Transform, type TransformContext } from './transform.js';
import type { Units } from './units.js';

/** Δ ↦ f(W + Δ) − W. */
const constrain =
  (f: (next: tf.Tensor) => tf.Tensor) =>
  (increment: tf.Tensor, { weights }: TransformContext): tf.Tensor =>
    tf.sub(f(tf.add(weights, increment)), weights);

/** Options of {@link unitNorm}. */
export interface UnitNormOptions {
  /** r, the norm of each unit's weights, above 0. Default 1. */
  readonly radius?: number;
}

/**
 * Δ_k ↦ r·(w_k + Δ_k)/‖w_k + Δ_k‖ − w_k: after the step, the weights of each unit k have the Euclidean norm r. Weights
 * that are all 0 stay at 0. It must be the last transform of a chain.
 *
 * Give it kernels. In a bias or a scale, each number is a unit, which would become ±r.
 *
 * @throws ConfigurationError `UNKNOWN_OPTION`, `BAD_VALUE`.
 * @example
 * ```ts
 * import { stepOnce } from '@ghl/conformance/testing';
 * import { chain, gradientDescent, unitNorm } from '@ghl/core';
 * import '@tensorflow/tfjs-backend-cpu';
 *
 * // W − ∂L/∂W = [3, 4], which becomes [0.6, 0.8].
 * const plasticity = chain(gradientDescent(), unitNorm({ radius: 10 }));
 * console.log(stepOnce(plasticity, { input: [[1, 2]], weights: [[1], [0]] }, { gradient: [[-2], [-4]] }));
 * // => [ [ 5 ], [ 8 ] ]
 * ```
 */
export function unitNorm(options: UnitNormOptions = {}): Transform {
  const { radius } = readOptions('unitNorm', options, { radius: number(1, { above: 0 }) });
  const update = (increment: tf.Tensor, context: TransformContext) => {
    const { fanIn, fanOut } = context.units;
    return constrain((next) => {
      const columns = tf.reshape(next, [fanIn, fanOut]);
      const norms = tf.sqrt(tf.sum(tf.square(columns), 0));
      return tf.reshape(tf.mul(tf.divNoNan(columns, norms), radius), next.shape);
    })(increment, context);
  };
  const operation = (): Operation => ['unitNorm', radius];
  return { ...statelessTransform(specOf('unitNorm', options), update, operation), constraint: 'norm' };
}

/**
 * Δ ↦ min(max(W + Δ, low), high) − W: after the step, each weight is in [low, high], to rounding. In a chain, only
 * other constraints may follow it.
 *
 * @param low The smallest weight, or null for none.
 * @param high The largest weight, or null for none. Default null.
 * @throws ConfigurationError `BAD_VALUE` unless both are finite numbers or null, and low ≤ high.
 * @example
 * ```ts
 * import { stepOnce } from '@ghl/conformance/testing';
 * import { bounds, chain, gradientDescent } from '@ghl/core';
 * import '@tensorflow/tfjs-backend-cpu';
 *
 * // W − ∂L/∂W = [−2, 0.75], which becomes [0, 0.5].
 * const plasticity = chain(gradientDescent(), bounds(0, 0.5));
 * console.log(stepOnce(plasticity, { input: [[1, 2]], weights: [[1], [0.25]] }, { gradient: [[3], [-0.5]] }));
 * // => [ [ -1 ], [ 0.25 ] ]
 * ```
 */
export function bounds(low: number | null, high: number | null = null): Transform {
  if (low !== null) checkNumber('bounds low', low);
  if (high !== null) checkNumber('bounds high', high, low === null ? {} : { least: low });
  const update = constrain((next) => {
    const below = high === null ? next : tf.minimum(next, high);
    return low === null ? below : tf.maximum(below, low);
  });
  const operation = (): Operation => ['bounds', low ?? Number.NEGATIVE_INFINITY, high ?? Number.POSITIVE_INFINITY];
  return { ...statelessTransform(specOf('bounds', low, high), update, operation), constraint: 'value' };
}

/**
 * Dale's law: all outgoing weights of an input have one sign, that of their sum at the first step. A weight that would
 * cross 0 becomes 0. An input of a convolution is a channel. In a chain, only other constraints may follow it.
 *
 * If the sum is 0 at the first step, the sign is that of the first sum that is not 0. A bias has no input, and is not
 * constrained.
 *
 * @see Dale, 1935; Song, Yang & Wang, "Training excitatory-inhibitory recurrent neural networks for cognitive tasks",
 * PLOS Computational Biology 12, 2016.
 * @example
 * ```ts
 * import { stepOnce } from '@ghl/conformance/testing';
 * import { chain, dale, gradientDescent } from '@ghl/core';
 * import '@tensorflow/tfjs-backend-cpu';
 *
 * // W − ∂L/∂W = [[−2, 2], [−1, −3]]. The first input is excitatory, and the second one is inhibitory.
 * const layer = { input: [[1, 1]], weights: [[1, 1], [-1, -1]] };
 * console.log(stepOnce(chain(gradientDescent(), dale()), layer, { gradient: [[3, -1], [0, 2]] }));
 * // => [ [ -1, 1 ], [ 0, -2 ] ]
 * ```
 */
export function dale(): Transform {
  return {
    spec: specOf('dale'),
    constraint: 'value',
    init: (shape, units): StateTree => (shape.length < 2 ? {} : { sign: tf.zeros([inputsOf(units), 1]) }),
    update(increment, { weights, units }, state: { readonly sign?: tf.Tensor }) {
      if (state.sign === undefined) return { increment: tf.clone(increment), state };
      const byInput = (tensor: tf.Tensor) => tf.reshape(tensor, [units.taps, inputsOf(units), -1]);
      const next = byInput(tf.add(weights, increment));
      const known = [state.sign, ...[byInput(weights), next].map((w) => tf.sign(tf.sum(tf.sum(w, 2, true), 0)))];
      const sign = known.reduce((first, second) => tf.where(tf.equal(first, 0), second, first));
      const allowed = tf.mul(sign, tf.relu(tf.mul(sign, next)));
      return { increment: tf.sub(tf.reshape(allowed, weights.shape), weights), state: { sign } };
    },
  };
}

/** The presynaptic units of a kernel: the channels of its input. */
const inputsOf = ({ fanIn, taps, groups }: Units) => (fanIn / taps) * groups;

/**
 * Weights that are 0 at the first step stay 0: a fixed sparse connectivity. In a chain, only other constraints may
 * follow it.
 *
 * @example
 * ```ts
 * import { stepOnce } from '@ghl/conformance/testing';
 * import { chain, gradientDescent, keepZeros } from '@ghl/core';
 * import '@tensorflow/tfjs-backend-cpu';
 *
 * const sparse = chain(gradientDescent(), keepZeros());
 * console.log(stepOnce(sparse, { input: [[1, 2]], weights: [[1], [0]] }, { gradient: [[3], [-1]] }));
 * // => [ [ -3 ], [ 0 ] ]
 * ```
 */
export function keepZeros(): Transform {
  return {
    spec: specOf('keepZeros'),
    constraint: 'value',
    // 0 before the first step, then 1 for a weight that moves and −1 for one that stays 0.
    init: (shape) => ({ moves: tf.zeros([...shape]) }),
    update(increment, { weights }, state: { readonly moves: tf.Tensor }) {
      const first = tf.where(tf.equal(weights, 0), tf.fill(weights.shape, -1), tf.onesLike(weights));
      const moves = tf.where(tf.equal(state.moves, 0), first, state.moves);
      return { increment: tf.where(tf.greater(moves, 0), increment, tf.sub(0, weights)), state: { moves } };
    },
  };
}

/**
 * Throws if a constraint is followed by a transform that could undo it.
 *
 * @throws ConfigurationError `CONSTRAINT_ORDER`.
 */
export function checkConstraints(transforms: readonly Transform[]): void {
  const rank = ({ constraint }: Transform) => [undefined, 'value', 'norm'].indexOf(constraint);
  for (const [i, transform] of transforms.entries()) {
    const before = transforms[i - 1];
    if (
      before === undefined ||
      rank(before) < rank(transform) ||
      (rank(before) < 2 && rank(before) === rank(transform))
    )
      continue;
    throw outOfOrder(`${transform.spec.name} follows ${before.spec.name} in a chain`);
  }
}

/** Throws if a term of a sum has a constraint, which the other terms could undo. */
export function refuseConstraint(spec: Spec, transforms: readonly Transform[]): void {
  const inner = transforms.find(({ constraint }) => constraint !== undefined);
  if (inner !== undefined) throw outOfOrder(`${inner.spec.name} is in the term ${spec.name} of a sum`);
}

function outOfOrder(what: string): ConfigurationError {
  return new ConfigurationError(
    'CONSTRAINT_ORDER',
    `${what}, which could undo it.`,
    'put bounds, dale and keepZeros after all other transforms and after a sum, and one unitNorm at the end.',
  );
}
