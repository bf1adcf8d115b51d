/**
 * The filter gradient of a convolution, which stock TensorFlow.js lacks on this backend:
 *
 *     ∂W[i, j, c, k] = Σ_{b, p, q} x[b, p·s + i − top, q·s + j − left, c] · ∂y[b, p, q, k]
 *
 * Read with c as the batch, b as the channel and ∂y as a filter of size OH × OW, that is a convolution dilated by the
 * stride, so XNNPACK's convolution computes it.
 */
import {
  backend_util,
  Conv2DBackpropFilter,
  type Conv2DBackpropFilterAttrs,
  type TensorInfo,
} from '@tensorflow/tfjs-core';
import { checkConvolution, conv2d, floats, type KernelCall, kernel, release, type Shape4D, transpose } from './heap.js';

export const conv2dFilterGradient = kernel(
  Conv2DBackpropFilter,
  ({
    inputs: { x, dy },
    attrs: { strides, pad, dataFormat, dimRoundingMode, filterShape },
    backend,
  }: KernelCall<{ x: TensorInfo; dy: TensorInfo }, Conv2DBackpropFilterAttrs>) => {
    checkConvolution(Conv2DBackpropFilter, { x, dy }, dataFormat);
    const {
      inHeight,
      inWidth,
      inChannels,
      outChannels,
      filterHeight,
      filterWidth,
      strideHeight,
      strideWidth,
      padInfo,
    } = backend_util.computeConv2DInfo(x.shape as Shape4D, filterShape, strides, 1, pad, dimRoundingMode);
    const [, outHeight, outWidth] = dy.shape as Shape4D;
    const channels = transpose(backend, x, [3, 1, 2, 0]);
    const cotangent = transpose(backend, dy, [1, 2, 0, 3]);
    const bottom = (outHeight - 1) * strideHeight + filterHeight - inHeight - padInfo.top;
    const right = (outWidth - 1) * strideWidth + filterWidth - inWidth - padInfo.left;
    const padding = [padInfo.top, Math.max(0, bottom), padInfo.left, Math.max(0, right)] as const;
    const result = conv2d(backend, channels, cotangent, padding, [strideHeight, strideWidth]);
    release(backend, channels, cotangent);

    // Where rows of x were left over by the stride, the result has more rows than the filter.
    const [, height, width] = result.shape as Shape4D;
    const out = backend.makeOutput(filterShape, 'float32');
    const from = floats(backend, result);
    const to = floats(backend, out);
    for (let c = 0, block = 0; c < inChannels; c++, block += height * width * outChannels) {
      for (let i = 0; i < filterHeight; i++) {
        for (let j = 0; j < filterWidth; j++) {
          const start = block + (i * width + j) * outChannels;
          to.set(from.subarray(start, start + outChannels), ((i * filterWidth + j) * inChannels + c) * outChannels);
        }
      }
    }
    release(backend, result);
    return out;
  },
);
