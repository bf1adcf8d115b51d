/** A step size for each unit. */
import * as tf from '@tensorflow/tfjs-core';
import { number, readOptions } from './options.js';
import { checkHyperparameter, type Hyperparameter, valueAt } from './schedule.js';
import { specOf } from './spec.js';
import { statelessTransform, type Transform, type TransformContext } from './transform.js';

/** Options of {@link unitStep}. */
export interface UnitStepOptions {
  /** p ≥ 0. Default 0.5, as in SoftHebb's networks for CIFAR-10. */
  readonly power?: number;
}

/**
 * Δ_k ↦ η·(|‖w_k‖ − 1| + 1e-10)ᵖ·Δ_k: the further the norm of unit k is from 1, the longer is its step. ‖w_k‖ is the
 * norm before the step. SoftHebb's schedule of the learning rate, for rules whose weights converge to the unit sphere.
 *
 * @param stepSize η, a number or a schedule.
 * @throws ConfigurationError `UNKNOWN_OPTION`, `BAD_VALUE`.
 * @see Journé et al., "Hebbian deep learning without feedback", ICLR 2023, and its code.
 * @example
 * ```ts
 * import { stepOnce } from '@ghl/conformance/testing';
 * import { chain, gradientDescent, unitStep } from '@ghl/core';
 * import '@tensorflow/tfjs-backend-cpu';
 *
 * // ‖[3, 4]‖ = 5, and the root of 5 − 1 is 2.
 * const plasticity = chain(gradientDescent(), unitStep(0.5));
 * console.log(stepOnce(plasticity, { input: [[1, 2]], weights: [[3], [4]] }, { gradient: [[3], [-1]] }));
 * // => [ [ -3 ], [ 1 ] ]
 * ```
 */
export function unitStep(stepSize: Hyperparameter, options: UnitStepOptions = {}): Transform {
  const eta = checkHyperparameter('unitStep', stepSize);
  const { power } = readOptions('unitStep', options, { power: number(0.5, { least: 0 }) });
  const update = (increment: tf.Tensor, { weights, units, step }: TransformContext) => {
    const columns = (tensor: tf.Tensor) => tf.reshape(tensor, [units.fanIn, units.fanOut]);
    const distance = tf.abs(tf.sub(tf.sqrt(tf.sum(tf.square(columns(weights)), 0)), 1));
    const sizes = tf.mul(tf.pow(tf.add(distance, 1e-10), power), valueAt(eta, step));
    return tf.reshape(tf.mul(columns(increment), sizes), increment.shape);
  };
  return statelessTransform(specOf('unitStep', stepSize, options), update, (step) => [
    'unitStep',
    valueAt(eta, step),
    power,
  ]);
}
