/**
 * The sign, which the stock kernel gets wrong: it answers 0 for everything below 1e-7, where gradients often lie, and
 * for NaN. Here ±0 give 0, NaN gives NaN, and every other number ±1.
 */
import { Sign, type TensorInfo } from '@tensorflow/tfjs-core';
import { floats, type KernelCall, kernel } from './heap.js';

export const sign = kernel(Sign, (call: KernelCall<{ x: TensorInfo }, object>, stock) => {
  const { inputs, backend } = call;
  if (inputs.x.dtype !== 'float32') return stock(call);
  const out = backend.makeOutput(inputs.x.shape, 'float32');
  const [from, to] = [floats(backend, inputs.x), floats(backend, out)];
  for (let i = 0; i < from.length; i++) {
    const value = from[i]!;
    to[i] = value > 0 ? 1 : value < 0 ? -1 : value;
  }
  return out;
});
