/** A choice on the device, without reading the condition. */
import { CHOOSE, hasKernel } from '@ghl/core/backend';
import * as tf from '@tensorflow/tfjs-core';

/** `value` if `ok` is true, else `before`. Copies no data if the backend has a kernel for it. */
export function choose(ok: tf.Tensor, value: tf.Tensor, before: tf.Tensor): tf.Tensor {
  if (value.dataId === before.dataId || value.size === 0) return tf.clone(before);
  if (!hasKernel(CHOOSE)) return tf.where(ok, value, before);
  return tf.engine().runKernel(CHOOSE, { ok, value, before }) as tf.Tensor;
}
