/** Limits of an increment, by value and by norm. */
import * as tf from '@tensorflow/tfjs-core';
import { checkHyperparameter, type Hyperparameter, valueAt } from './schedule.js';
import { specOf } from './spec.js';
import { statelessTransform, type Transform } from './transform.js';

/**
 * Δ ↦ min(max(Δ, −c), c): no number moves by more than c.
 *
 * @param limit c ≥ 0, a number or a schedule.
 * @throws ConfigurationError `BAD_VALUE`.
 * @example
 * ```ts
 * import { stepOnce } from '@ghl/conformance/testing';
 * import { chain, clipByValue, gradientDescent } from '@ghl/core';
 * import '@tensorflow/tfjs-backend-cpu';
 *
 * const plasticity = chain(gradientDescent(), clipByValue(2));
 * console.log(stepOnce(plasticity, { input: [[1, 2]], weights: [[1], [0]] }, { gradient: [[3], [-1]] }));
 * // => [ [ -2 ], [ 1 ] ]
 * ```
 */
export function clipByValue(limit: Hyperparameter): Transform {
  const c = checkHyperparameter('clipByValue', limit, { least: 0 });
  return statelessTransform(
    specOf('clipByValue', limit),
    (increment, { step }) => tf.clipByValue(increment, -valueAt(c, step), valueAt(c, step)),
    (step) => ['clip', valueAt(c, step)],
  );
}

/**
 * Δ ↦ Δ · min(1, c / ‖Δ‖), where ‖Δ‖ is the Euclidean norm over all weights of the layer.
 *
 * @param limit c ≥ 0, a number or a schedule.
 * @throws ConfigurationError `BAD_VALUE`. A norm above 3.4e38 makes the step non-finite.
 * @see Pascanu et al., "On the difficulty of training recurrent neural networks", ICML 2013.
 * @example
 * ```ts
 * import { stepOnce } from '@ghl/conformance/testing';
 * import { chain, clipByNorm, gradientDescent } from '@ghl/core';
 * import '@tensorflow/tfjs-backend-cpu';
 *
 * // ‖[−3, 4]‖ = 5
 * const plasticity = chain(gradientDescent(), clipByNorm(2.5));
 * console.log(stepOnce(plasticity, { input: [[1, 2]], weights: [[1], [0]] }, { gradient: [[3], [-4]] }));
 * // => [ [ -1.5 ], [ 2 ] ]
 * ```
 */
export function clipByNorm(limit: Hyperparameter): Transform {
  const c = checkHyperparameter('clipByNorm', limit, { least: 0 });
  return statelessTransform(specOf('clipByNorm', limit), (increment, { step }) => {
    const bound = valueAt(c, step);
    // c ÷ max(‖Δ‖, c) is 1 below the limit. The smallest normal number keeps 0 ÷ 0 out.
    const norm = tf.maximum(tf.norm(increment), Math.max(bound, 1.1754943508222875e-38));
    // ‖Δ‖ − ‖Δ‖ is NaN for a norm that overflows, which the step then reports. Without it, Δ would become 0.
    return tf.mul(increment, tf.add(tf.div(bound, norm), tf.sub(norm, norm)));
  });
}
