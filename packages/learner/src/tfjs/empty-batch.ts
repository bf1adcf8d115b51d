/**
 * Rejects empty tensors, which teach nothing and whose means are NaN: batches without examples, layers without
 * positions.
 */
import { checkNotEmpty } from '@ghl/core/plugin';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import type { ModelWeight } from './model-layers.js';

/**
 * Runs a forward pass, and checks the inputs and outputs of the layers that own `weights`.
 *
 * @throws DataError `EMPTY_TENSOR`.
 */
export function refuseEmptyTensors<T>(weights: Iterable<ModelWeight>, body: () => T): T {
  const paths = new Map([...weights].map(({ owner }) => [owner.layer, owner.path]));
  const { prototype } = tfl.layers.Layer;
  const { apply } = prototype;
  const check = (path: string, name: string, tensors: unknown) => {
    for (const tensor of [tensors].flat())
      if (tensor instanceof tf.Tensor) checkNotEmpty(`Layer '${path}'`, { [name]: tensor });
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
