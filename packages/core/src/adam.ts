/** Adam: each weight has its own step size, from the moments of its increments. */
import * as tf from '@tensorflow/tfjs-core';
import { number, readOptions } from './options.js';
import { specOf } from './spec.js';
import type { Transform } from './transform.js';

/** Options of {@link adam}. */
export interface AdamOptions {
  /** β₁ in [0, 1), the decay of the mean. Default 0.9. */
  readonly beta1?: number;
  /** β₂ in [0, 1), the decay of the mean square. Default 0.999. */
  readonly beta2?: number;
  /** ε, added to the root of the mean square; above 0. Default 1e-8. */
  readonly epsilon?: number;
}

/**
 * Adam: m ← β₁·m + (1 − β₁)·Δ, v ← β₂·v + (1 − β₂)·Δ², Δ ↦ m̂ / (√v̂ + ε), where m̂ = m / (1 − β₁ᵗ) and v̂ = v / (1 −
 * β₂ᵗ) at update t = 1, 2, …. `chain(gradientDescent(), adam(), scaleBy(η))` is Adam; with `decayWeights(λ)` between
 * the last two it is AdamW.
 *
 * @throws ConfigurationError `UNKNOWN_OPTION`, `BAD_VALUE`.
 * @see Kingma & Ba, "Adam: A method for stochastic optimization", ICLR 2015; Loshchilov & Hutter, ICLR 2019.
 * @example
 * ```ts
 * import { stepOnce } from '@ghl/conformance/testing';
 * import { adam, chain, gradientDescent } from '@ghl/core';
 * import '@tensorflow/tfjs-backend-cpu';
 *
 * // At the first update, m̂ / √v̂ is the sign of the increment.
 * const plasticity = chain(gradientDescent(), adam({ epsilon: 1e-12 }));
 * console.log(stepOnce(plasticity, { input: [[1, 2]], weights: [[1], [0]] }, { gradient: [[4], [-4]] }));
 * // => [ [ -1 ], [ 1 ] ]
 * ```
 */
export function adam(options: AdamOptions = {}): Transform {
  const { beta1, beta2, epsilon } = readOptions('adam', options, {
    beta1: number(0.9, { least: 0, below: 1 }),
    beta2: number(0.999, { least: 0, below: 1 }),
    epsilon: number(1e-8, { above: 0 }),
  });
  return {
    spec: specOf('adam', options),
    init: (shape) => ({ mean: tf.zeros([...shape]), square: tf.zeros([...shape]) }),
    update(increment, { step }, state) {
      const mean = tf.add(tf.mul(state.mean, beta1), tf.mul(increment, 1 - beta1));
      const square = tf.add(tf.mul(state.square, beta2), tf.mul(tf.square(increment), 1 - beta2));
      const [meanHat, squareHat] = [tf.div(mean, 1 - beta1 ** (step + 1)), tf.div(square, 1 - beta2 ** (step + 1))];
      return { increment: tf.div(meanHat, tf.add(tf.sqrt(squareHat), epsilon)), state: { mean, square } };
    },
  };
}
