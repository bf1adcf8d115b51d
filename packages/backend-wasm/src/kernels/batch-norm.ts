/** Batch normalisation by the statistics of the batch, and its gradient, each in three passes over memory. */
import { BATCH_NORM, BATCH_NORM_GRADIENT } from '@ghl/core/backend';
import { checkNotEmpty } from '@ghl/core/plugin';
import type { TensorInfo } from '@tensorflow/tfjs-core';
import { bits } from '../module.js';
import { address } from './heap.js';
import { floatKernel, type KernelCall } from './kernel.js';

function sizes(x: TensorInfo): [positions: number, channels: number] {
  const channels = x.shape.at(-1)!;
  return [x.shape.slice(0, -1).reduce((n, size) => n * size, 1), channels];
}

const batchNorm = floatKernel(
  BATCH_NORM,
  ({ inputs: { x }, attrs, backend, module }: KernelCall<{ x: TensorInfo }, { epsilon: number }>) => {
    checkNotEmpty(BATCH_NORM, { x });
    const [positions, channels] = sizes(x);
    const outs = [x.shape, [channels], [channels], [channels]].map((shape) => backend.makeOutput(shape, 'float32'));
    const [y, mean, variance, precision] = outs.map((out) => address(backend, out));
    module.run('batchNorm', [
      ...[positions, channels, bits(attrs.epsilon)],
      ...[address(backend, x), y!, mean!, variance!, precision!],
    ]);
    return outs;
  },
);

const batchNormGradient = floatKernel(
  BATCH_NORM_GRADIENT,
  ({
    inputs: { dy, y, precision },
    backend,
    module,
  }: KernelCall<{ dy: TensorInfo; y: TensorInfo; precision: TensorInfo }, object>) => {
    checkNotEmpty(BATCH_NORM_GRADIENT, { y });
    const dx = backend.makeOutput(y.shape, 'float32');
    const at = (tensor: TensorInfo) => address(backend, tensor);
    module.run('batchNormGradient', [...sizes(y), 0, at(dy), at(y), 0, 0, at(precision), at(dx)]);
    return dx;
  },
);

export const kernels = [batchNorm, batchNormGradient];
