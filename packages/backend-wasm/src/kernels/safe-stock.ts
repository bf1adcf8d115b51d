/**
 * Substitutes for stock kernels on inputs that they do not support: the kernels of the CPU backend, ours on float32, or
 * a coded error.
 */
import { UnsupportedError } from '@ghl/core';
import { Cast, type TensorInfo } from '@tensorflow/tfjs-core';
import type { CpuKernels } from './cpu-kernels.js';
import { runKernel, type Stock } from './kernel.js';
import { unsupportedInput } from './stock-limits.js';

/** Gradients and means, which are float32 for inputs of any type. */
const floatGradients = new Set([
  'AvgPoolGrad',
  'Conv2DBackpropFilter',
  'Conv2DBackpropInput',
  'DepthwiseConv2dNativeBackpropFilter',
  'DepthwiseConv2dNativeBackpropInput',
  'MaxPoolGrad',
  'Mean',
  'ResizeBilinearGrad',
]);

/** Kernels that on the CPU backend are wrong too, never end, or throw errors without a code. */
const refusedKernels = new Set(['Bincount', 'DenseBincount', 'GatherNd', 'ResizeNearestNeighborGrad']);

/** Returns a kernel that calls the stock kernel for supported inputs, and its substitute for others. */
export function safeStock(name: string, stock: Stock | undefined, cpuKernels: CpuKernels): Stock {
  return (call) => {
    const inputs = call.inputs as Readonly<Record<string, TensorInfo>>;
    const wrong = unsupportedInput(name, inputs, call.attrs);
    if (wrong === undefined && stock !== undefined) return stock(call);
    const float = Object.values(inputs).every((input) => input?.dtype === 'float32');
    if (floatGradients.has(name) && !float) return onFloats(name, call);
    const other = refusedKernels.has(name) ? undefined : cpuKernels(name);
    if (other !== undefined) return other(call);
    const key = wrong ?? Object.keys(inputs).find((each) => inputs[each]!.dtype !== 'float32')!;
    const { dtype } = inputs[key]!;
    throw new UnsupportedError(
      'UNSUPPORTED_DTYPE',
      `${name} got ${key} of dtype '${dtype}'.`,
      `cast it first: tf.cast(${key}, '${dtype === 'float32' ? 'int32' : 'float32'}').`,
    );
  };
}

function onFloats(name: string, { inputs, attrs, backend }: Parameters<Stock>[0]): TensorInfo {
  const cast = Object.entries(inputs as Record<string, TensorInfo>).map(
    ([key, x]) => [key, runKernel(backend, Cast, { x }, { dtype: 'float32' })] as const,
  );
  try {
    return runKernel(backend, name, Object.fromEntries(cast), attrs);
  } finally {
    for (const [, { dataId }] of cast) backend.disposeData(dataId);
  }
}
