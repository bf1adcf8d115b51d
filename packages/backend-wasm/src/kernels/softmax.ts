/** Softmax over the last axis, on our own module. */
import { Softmax, type TensorInfo, util } from '@tensorflow/tfjs-core';
import { address, type KernelCall, kernel } from './heap.js';

export const softmax = kernel(Softmax, (call: KernelCall<{ logits: TensorInfo }, object>, stock) => {
  const {
    inputs: { logits },
    backend,
    module,
  } = call;
  const size = util.sizeFromShape(logits.shape);
  const columns = logits.shape.at(-1);
  if (logits.dtype !== 'float32' || size === 0 || columns === undefined) return stock(call);
  const out = backend.makeOutput(logits.shape, 'float32');
  module.run('softmax', [size / columns, columns, address(backend, logits), address(backend, out)]);
  return out;
});
