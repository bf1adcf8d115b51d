/** Pooling and its gradients, by the module: any window, stride and padding (see assembly/pooling.ts). */
import { checkShape } from '@ghl/core/backend';
import {
  AvgPool,
  type AvgPoolAttrs,
  AvgPoolGrad,
  type AvgPoolGradAttrs,
  backend_util,
  MaxPool,
  type MaxPoolAttrs,
  MaxPoolGrad,
  type MaxPoolGradAttrs,
  type TensorInfo,
  util,
} from '@tensorflow/tfjs-core';
import { address } from './heap.js';
import {
  checkConvolution,
  checkWindow,
  floatKernel,
  type Kernel,
  type KernelCall,
  kernel,
  type Shape4D,
} from './kernel.js';

/**
 * The first fields of assembly/pooling.ts. The size of the output may differ from the one that follows from the input.
 */
function geometry(info: backend_util.Conv2DInfo, [, outHeight, outWidth]: readonly number[]): number[] {
  const { batchSize, inHeight, inWidth, inChannels, padInfo } = info;
  const { filterHeight, filterWidth, strideHeight, strideWidth } = info;
  return [
    ...[batchSize, inHeight, inWidth, inChannels, outHeight!, outWidth!],
    ...[filterHeight, filterWidth, strideHeight, strideWidth, padInfo.top, padInfo.left],
    // One frame, and a window of one frame.
    ...[1, 1, 1, 1, 0],
  ];
}

function pool(name: string, run: 'maxPool' | 'averagePool'): Kernel {
  return kernel(name, (call: KernelCall<{ x: TensorInfo }, MaxPoolAttrs | AvgPoolAttrs>, stock) => {
    const {
      inputs: { x },
      attrs: { filterSize, strides, pad, dimRoundingMode },
      backend,
      module,
    } = call;
    const info = backend_util.computePool2DInfo(x.shape as Shape4D, filterSize, strides, 1, pad, dimRoundingMode);
    if (x.dtype !== 'float32') return stock(call);
    checkWindow(name, info);
    const out = backend.makeOutput(info.outShape, 'float32');
    if (util.sizeFromShape(info.outShape) === 0) return out;
    module.run(run, [...geometry(info, info.outShape), address(backend, x), address(backend, out), 0, 0]);
    return out;
  });
}

const maxPool = pool(MaxPool, 'maxPool');
const avgPool = pool(AvgPool, 'averagePool');

const maxPoolGradient = floatKernel(
  MaxPoolGrad,
  ({
    inputs: { dy, input, output },
    attrs: { filterSize, strides, pad, dimRoundingMode },
    backend,
    module,
  }: KernelCall<{ dy: TensorInfo; input: TensorInfo; output: TensorInfo }, MaxPoolGradAttrs>) => {
    checkConvolution(MaxPoolGrad, { dy, input });
    checkShape(MaxPoolGrad, 'dy', dy, output.shape);
    const info = backend_util.computePool2DInfo(input.shape as Shape4D, filterSize, strides, 1, pad, dimRoundingMode);
    const out = backend.makeOutput(input.shape, 'float32');
    const at = [input, output, dy, out].map((tensor) => address(backend, tensor));
    module.run('maxPoolGradient', [...geometry(info, dy.shape), ...at]);
    return out;
  },
);

const avgPoolGradient = floatKernel(
  AvgPoolGrad,
  ({
    inputs: { dy, input },
    attrs: { filterSize, strides, pad },
    backend,
    module,
  }: KernelCall<{ dy: TensorInfo; input: TensorInfo }, AvgPoolGradAttrs>) => {
    checkConvolution(AvgPoolGrad, { dy, input });
    const info = backend_util.computePool2DInfo(input.shape as Shape4D, filterSize, strides, 1, pad);
    const out = backend.makeOutput(input.shape, 'float32');
    module.run('averagePoolGradient', [...geometry(info, dy.shape), 0, 0, address(backend, dy), address(backend, out)]);
    return out;
  },
);

export const kernels = [maxPool, avgPool, maxPoolGradient, avgPoolGradient];
