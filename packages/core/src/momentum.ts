/** Momentum: the increment accelerates in a direction that persists. */
import * as tf from '@tensorflow/tfjs-core';
import { flag, hyperparameter, readOptions } from './options.js';
import { type Hyperparameter, valueAt } from './schedule.js';
import { specOf } from './spec.js';
import type { Transform } from './transform.js';

/** Options of {@link momentum}. */
export interface MomentumOptions {
  /** β in [0, 1], a number or a schedule. Default 0.9. */
  readonly decay?: Hyperparameter;
  /** Whether to look ahead, as Nesterov's method does. Default false. */
  readonly nesterov?: boolean;
}

/**
 * Heavy-ball momentum: m ← β·m + Δ, Δ ↦ m, or Δ ↦ Δ + β·m with `nesterov`. As PyTorch's SGD without dampening.
 *
 * @throws ConfigurationError `UNKNOWN_OPTION`, `BAD_VALUE`.
 * @see Polyak, "Some methods of speeding up the convergence of iteration methods", 1964; Sutskever et al., ICML 2013.
 * @example
 * ```ts
 * import { stepEach } from '@ghl/conformance/testing';
 * import { chain, gradientDescent, momentum } from '@ghl/core';
 * import '@tensorflow/tfjs-backend-cpu';
 *
 * // m = −1, then 0.5·(−1) − 1
 * const plasticity = chain(gradientDescent(), momentum({ decay: 0.5 }));
 * const gradient = [[1]];
 * console.log(stepEach(plasticity, { input: [[1]], weights: [[0]] }, [{ gradient }, { gradient }]));
 * // => [ [ [ -1 ] ], [ [ -1.5 ] ] ]
 * ```
 */
export function momentum(options: MomentumOptions = {}): Transform {
  const { decay, nesterov } = readOptions('momentum', options, {
    decay: hyperparameter(0.9, { least: 0, most: 1 }),
    nesterov: flag(false),
  });
  return {
    spec: specOf('momentum', options),
    init: (shape) => ({ momentum: tf.zeros([...shape]) }),
    update(increment, { step }, state) {
      const beta = valueAt(decay, step);
      const next = tf.add(tf.mul(state.momentum, beta), increment);
      return { increment: nesterov ? tf.add(increment, tf.mul(next, beta)) : next, state: { momentum: next } };
    },
  };
}
