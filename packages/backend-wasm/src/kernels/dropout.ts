/** Dropout that draws its mask in the kernel, by a counter-based generator. */
import { DROPOUT, type DropoutAttributes } from '@ghl/core/backend';
import { type TensorInfo, util } from '@tensorflow/tfjs-core';
import { bits } from '../module.js';
import { address } from './heap.js';
import { floatKernel, type KernelCall } from './kernel.js';

const dropout = floatKernel(
  DROPOUT,
  ({ inputs: { x }, attrs, backend, module }: KernelCall<{ x: TensorInfo }, DropoutAttributes>) => {
    const { key, threshold, scale } = attrs;
    const out = backend.makeOutput(x.shape, 'float32');
    const size = util.sizeFromShape(x.shape);
    module.run('dropout', [size, ...key, threshold, bits(scale), address(backend, x), address(backend, out)]);
    return out;
  },
);

export const kernels = [dropout];
