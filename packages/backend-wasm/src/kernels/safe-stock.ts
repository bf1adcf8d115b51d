/**
 * What stands in for the stock kernels where they are wrong: the CPU backend's, our own on 32-bit floats, or a refusal.
 */
import { UnsupportedError } from '@ghl/core';
import { Cast, type TensorInfo } from '@tensorflow/tfjs-core';
import type { CpuKernels } from './cpu-kernels.js';
import { runKernel, type Stock } from './kernel.js';
import { unsupportedInput } from './stock-limits.js';

/** Gradients and means, which are float32 whatever they are of. */
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

/** Whose kernels on the CPU backend are wrong too, never end, or refuse in their own words. */
const refusedKernels = new Set(['Bincount', 'DenseBincount', 'GatherNd', 'ResizeNearestNeighborGrad']);

/** The stock kernel of a name where it is right; elsewhere, what stands in for it. */
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
