/**
 * Batches without examples, and layers without positions: nothing can be learned from them, and means over them are
 * NaN.
 */
import { checkNotEmpty } from '@ghl/core/plugin';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import type { PlannedWeight } from './assignment.js';

/**
 * Runs `body`, a forward pass, in which the layers of weights that move are given, and give, tensors with values only.
 *
 * @throws DataError `EMPTY_TENSOR`.
 */
export function withoutEmptyBatches<T>(moving: Iterable<PlannedWeight>, body: () => T): T {
  const paths = new Map<tfl.layers.Layer, string>([...moving].map(({ owner }) => [owner.layer, owner.path]));
  const { prototype } = tfl.layers.Layer;
  const { apply } = prototype;
  const check = (path: string, what: string, tensors: unknown) => {
    for (const tensor of [tensors].flat())
      if (tensor instanceof tf.Tensor) checkNotEmpty(`Layer '${path}'`, { [what]: tensor });
  };
  prototype.apply = function (inputs, kwargs) {
    const path = paths.get(this);
    if (path !== undefined) check(path, 'an input', inputs);
    const outputs = apply.call(this, inputs, kwargs);
    if (path !== undefined) check(path, 'an output', outputs);
    return outputs;
  };
  try {
    return body();
  } finally {
    prototype.apply = apply;
  }
}
