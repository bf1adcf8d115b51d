/** Steps that were not finite: how they are noticed on the device, and what is said of them. */
import { NonFiniteError } from '@ghl/core';
import * as tf from '@tensorflow/tfjs-core';
import { isPlasticity, type PlannedWeight } from './assignment.js';

/** Whether every entry is finite, on the device: x·0 is NaN for an infinite or undefined x. */
export function allFinite(tensor: tf.Tensor): tf.Tensor {
  return tf.equal(tf.sum(tf.mul(tensor, 0)), 0);
}

/** The error for the first bad step of a weight, with the likely cause. */
export function nonFinite(step: number, { path, mover }: PlannedWeight, lossWasBad: boolean): NonFiniteError {
  const normalised = isPlasticity(mover) && (mover.rule === null || (mover.rule.wrappers ?? []).length > 0);
  const cause = lossWasBad
    ? 'the loss was not finite either: look for NaN or infinite values in the inputs and labels, then lower the step size.'
    : normalised
      ? 'lower the step size, and look for infinite values in the inputs.'
      : "the rule's ΔW is not normalised and outgrew its weights: wrap it in maxAbs(), or lower the step size.";
  return new NonFiniteError(
    'NON_FINITE_STEP',
    `Step ${step}: the increment of ${path} was not finite; the weights were left as they were.`,
    {
      help: `likely cause: ${cause}`,
    },
  );
}
