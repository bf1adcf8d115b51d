/** Lion: every weight moves by the same amount, in the direction of a momentum. */
import * as tf from '@tensorflow/tfjs-core';
import { number, readOptions } from './options.js';
import { specOf } from './spec.js';
import type { Transform } from './transform.js';

/** Options of {@link lion}. */
export interface LionOptions {
  /** β₁ in [0, 1], the weight of the momentum in the step. Default 0.9. */
  readonly beta1?: number;
  /** β₂ in [0, 1], the decay of the momentum. Default 0.99. */
  readonly beta2?: number;
}

/**
 * Lion: Δ ↦ sign(β₁·m + (1 − β₁)·Δ), then m ← β₂·m + (1 − β₂)·Δ. Put `decayWeights(λ)` and `scaleBy(η)` after it.
 *
 * @throws ConfigurationError `UNKNOWN_OPTION`, `BAD_VALUE`.
 * @see Chen et al., "Symbolic discovery of optimization algorithms", NeurIPS 2023.
 * @example
 * ```ts
 * import { stepEach } from '@ghl/conformance/testing';
 * import { chain, gradientDescent, lion } from '@ghl/core';
 * import '@tensorflow/tfjs-backend-cpu';
 *
 * // The second gradient is too small to turn the momentum.
 * const steps = [{ gradient: [[4]] }, { gradient: [[-0.1]] }];
 * console.log(stepEach(chain(gradientDescent(), lion()), { input: [[1]], weights: [[0]] }, steps));
 * // => [ [ [ -1 ] ], [ [ -1 ] ] ]
 * ```
 */
export function lion(options: LionOptions = {}): Transform {
  const { beta1, beta2 } = readOptions('lion', options, {
    beta1: number(0.9, { least: 0, most: 1 }),
    beta2: number(0.99, { least: 0, most: 1 }),
  });
  const mix = (a: tf.Tensor, b: tf.Tensor, beta: number) => tf.add(tf.mul(a, beta), tf.mul(b, 1 - beta));
  return {
    spec: specOf('lion', options),
    init: (shape) => ({ momentum: tf.zeros([...shape]) }),
    update: (increment, _, state) => ({
      increment: tf.sign(mix(state.momentum, increment, beta1)),
      state: { momentum: mix(state.momentum, increment, beta2) },
    }),
  };
}
