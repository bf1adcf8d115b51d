/**
 * One-hot vectors of any type. The stock kernel writes integers to tensors of any type. The vector of an index out of
 * range is all off.
 */
import { OneHot, type OneHotAttrs, type TensorInfo } from '@tensorflow/tfjs-core';
import { type KernelCall, kernel } from './kernel.js';

const oneHot = kernel(OneHot, (call: KernelCall<{ indices: TensorInfo }, OneHotAttrs>, stock) => {
  const {
    inputs: { indices },
    attrs: { depth, onValue, offValue, dtype },
    backend,
  } = call;
  if (indices.dtype !== 'int32') return stock(call);
  const out = backend.makeOutput([...indices.shape, depth], dtype);
  const [from, to] = [backend.typedArrayFromHeap(indices), backend.typedArrayFromHeap(out)];
  to.fill(offValue);
  for (const [i, index] of from.entries()) if (index >= 0 && index < depth) to[i * depth + index] = onValue;
  return out;
});

export const kernels = [oneHot];
