/** A trace: ΔW is remembered until the third factor arrives. */
import * as tf from '@tensorflow/tfjs-core';
import { type LocalRule, wrap } from './local-rule.js';
import { checkHyperparameter, type Hyperparameter, valueAt } from './schedule.js';
import { specOf } from './spec.js';
import type { StateTree } from './state.js';

/**
 * An eligibility trace: e ← λ·e + ΔW, and ΔW becomes e. A reward that arrives k steps late still reaches the ΔW of its
 * cause, scaled by λᵏ. It needs a third factor for the whole batch: one per example is rejected.
 *
 * @param rule The rule whose ΔW is remembered.
 * @param decay λ in [0, 1], a number or a schedule. λ = 0 is the rule itself.
 * @throws ConfigurationError `BAD_VALUE` for a decay out of range, or unless `rule` is a local rule.
 * @see Gerstner et al., "Eligibility traces and plasticity on behavioral time scales", Frontiers in Neural Circuits,
 * 2018.
 * @example
 * ```ts
 * import { stepEach } from '@ghl/conformance/testing';
 * import { trace } from '@ghl/core';
 * import { specOf, statelessRule } from '@ghl/core/plugin';
 * import '@tensorflow/tfjs-backend-cpu';
 *
 * const hebb = statelessRule(specOf('hebb'), ({ post: y }) => ({ gate: y, scope: 'none' }));
 * // y = 2, so ΔW = 2·1 in each step.
 * console.log(stepEach(trace(hebb, 0.5), { input: [[1]], weights: [[2]] }, [{}, {}]));
 * // => [ [ [ 2 ] ], [ [ 3 ] ] ]
 * ```
 */
export function trace<S extends StateTree>(rule: LocalRule<S>, decay: Hyperparameter): LocalRule<S> {
  return remember('trace', rule, decay, () => 1);
}

/**
 * The exponential mean of ΔW over steps: e ← λ·e + (1 − λ)·ΔW, and ΔW becomes e. It starts at 0. Otherwise as
 * {@link trace}.
 *
 * @param rule The rule whose ΔW is averaged.
 * @param decay λ in [0, 1], a number or a schedule.
 * @throws ConfigurationError `BAD_VALUE` for a decay out of range, or unless `rule` is a local rule.
 * @example
 * ```ts
 * import { stepEach } from '@ghl/conformance/testing';
 * import { ema } from '@ghl/core';
 * import { specOf, statelessRule } from '@ghl/core/plugin';
 * import '@tensorflow/tfjs-backend-cpu';
 *
 * const hebb = statelessRule(specOf('hebb'), ({ post: y }) => ({ gate: y, scope: 'none' }));
 * // ΔW = 2 in each step.
 * console.log(stepEach(ema(hebb, 0.5), { input: [[1]], weights: [[2]] }, [{}, {}]));
 * // => [ [ [ 1 ] ], [ [ 1.5 ] ] ]
 * ```
 */
export function ema<S extends StateTree>(rule: LocalRule<S>, decay: Hyperparameter): LocalRule<S> {
  return remember('ema', rule, decay, (lambda) => 1 - lambda);
}

/** e ← λ·e + s(λ)·ΔW. */
function remember<S extends StateTree>(
  name: string,
  rule: LocalRule<S>,
  decay: Hyperparameter,
  share: (lambda: number) => number,
): LocalRule<S> {
  const rate = checkHyperparameter(`${name} decay`, decay, { least: 0, most: 1 });
  return wrap(rule, name, {
    spec: specOf(name, decay),
    linear: false,
    init: (shape) => ({ trace: tf.zeros([...shape]) }),
    wrap(eligibility, { step }, state: { readonly trace: tf.Tensor }) {
      const lambda = valueAt(rate, step);
      const next = tf.add(tf.mul(state.trace, lambda), tf.mul(eligibility, share(lambda)));
      return { apply: () => next, state: { trace: next } };
    },
  });
}
