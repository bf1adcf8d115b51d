/** Weight constraints of tfjs-layers. tfjs calls them only in `LayerVariable.write`, which no optimizer uses. */
import { ConfigurationError } from '@ghl/core';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import type { ModelWeight } from './tfjs/model-layers.js';

const NonNeg = tfl.constraints.nonNeg().constructor;

/** Whether the constraint of a weight is the `nonNeg` of tfjs, which the fused update applies itself. */
export function isNonNegative({ weight: { constraint } }: ModelWeight): boolean {
  return constraint?.constructor === NonNeg && !Object.hasOwn(constraint, 'apply');
}

/**
 * Applies the constraint of a weight to its new value. Returns the same tensor if there is no constraint.
 *
 * @throws ConfigurationError `WRONG_SHAPE` if a custom constraint returns another shape or dtype than the weight has.
 */
export function constrain({ weight: { constraint }, path }: ModelWeight, value: tf.Tensor): tf.Tensor {
  if (constraint == null) return value;
  const result = constraint.apply(value) as tf.Tensor | undefined;
  const fits = result?.dtype === value.dtype && tf.util.arraysEqual(result.shape, value.shape);
  if (fits) return tf.clone(result); // the constraint may own it
  const returned = result?.shape === undefined ? String(result) : `a tensor of ${result.dtype} [${result.shape}]`;
  throw new ConfigurationError(
    'WRONG_SHAPE',
    `The constraint of ${path} returned ${returned}.`,
    `return a tensor of ${value.dtype} [${value.shape}] from apply().`,
  );
}
