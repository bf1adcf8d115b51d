/**
 * Weight constraints of tfjs-layers. tfjs calls them only from `LayerVariable.write`, which none of its optimizers
 * uses.
 */
import { ConfigurationError } from '@ghl/core';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import type { ModelWeight } from './model-layers.js';

const NonNeg = tfl.constraints.nonNeg().constructor;

/** Whether a weight's constraint is the `nonNeg` of tfjs, which a fused step applies by itself. */
export function isNonNegative({ weight: { constraint } }: ModelWeight): boolean {
  return constraint?.constructor === NonNeg && !Object.hasOwn(constraint, 'apply');
}

/**
 * The new value of a weight after its constraint; the same tensor where it has none.
 *
 * @throws ConfigurationError `WRONG_SHAPE` where a constraint of the user's does not return a tensor of the weight's
 * shape and type.
 */
export function constrain({ weight: { constraint }, path }: ModelWeight, value: tf.Tensor): tf.Tensor {
  if (constraint == null) return value;
  const result = constraint.apply(value) as tf.Tensor | undefined;
  const fits = result?.dtype === value.dtype && tf.util.arraysEqual(result.shape, value.shape);
  if (fits) return tf.clone(result); // it may be a tensor of the constraint's own
  const found = result?.shape === undefined ? String(result) : `a tensor of ${result.dtype} [${result.shape}]`;
  throw new ConfigurationError(
    'WRONG_SHAPE',
    `The constraint of ${path} returned ${found}.`,
    `return a tensor of ${value.dtype} [${value.shape}] from apply().`,
  );
}
