/**
 * The gradients of a depthwise convolution, which stock TensorFlow.js lacks on this backend. With output channel
 * k = c·M + m of input channel c and multiplier M, stride s and dilation d:
 *
 *     ∂x[b, p·s + i·d − top, q·s + j·d − left, c] += W[i, j, c, m] · ∂y[b, p, q, k]
 *     ∂W[i, j, c, m] += x[b, p·s + i·d − top, q·s + j·d − left, c] · ∂y[b, p, q, k]
 */
import {
  backend_util,
  DepthwiseConv2dNativeBackpropFilter,
  type DepthwiseConv2dNativeBackpropFilterAttrs,
  DepthwiseConv2dNativeBackpropInput,
  type DepthwiseConv2dNativeBackpropInputAttrs,
  type TensorInfo,
} from '@tensorflow/tfjs-core';
import { checkConvolution, floats, type KernelCall, kernel, type Shape4D } from './heap.js';

/** Calls `visit` with the offsets of the first channel of every (x, ∂y, W) that meet. */
function forEachTap(info: backend_util.Conv2DInfo, visit: (x: number, dy: number, filter: number) => void): void {
  const { batchSize, inHeight, inWidth, inChannels, outHeight, outWidth, outChannels, filterHeight, filterWidth } =
    info;
  const { strideHeight, strideWidth, dilationHeight, dilationWidth, padInfo } = info;
  for (let b = 0; b < batchSize; b++) {
    for (let p = 0; p < outHeight; p++) {
      for (let i = 0; i < filterHeight; i++) {
        const row = p * strideHeight + i * dilationHeight - padInfo.top;
        if (row < 0 || row >= inHeight) continue;
        for (let q = 0; q < outWidth; q++) {
          for (let j = 0; j < filterWidth; j++) {
            const column = q * strideWidth + j * dilationWidth - padInfo.left;
            if (column < 0 || column >= inWidth) continue;
            visit(
              ((b * inHeight + row) * inWidth + column) * inChannels,
              ((b * outHeight + p) * outWidth + q) * outChannels,
              (i * filterWidth + j) * outChannels,
            );
          }
        }
      }
    }
  }
}

export const depthwiseInputGradient = kernel(
  DepthwiseConv2dNativeBackpropInput,
  ({
    inputs: { dy, filter },
    attrs: { strides, dilations, pad, dimRoundingMode, inputShape },
    backend,
  }: KernelCall<{ dy: TensorInfo; filter: TensorInfo }, DepthwiseConv2dNativeBackpropInputAttrs>) => {
    checkConvolution(DepthwiseConv2dNativeBackpropInput, { dy, filter });
    const info = backend_util.computeConv2DInfo(
      inputShape,
      filter.shape as Shape4D,
      strides,
      dilations,
      pad,
      dimRoundingMode,
      true,
    );
    const out = backend.makeOutput(inputShape, 'float32');
    const [dx, g, w] = [floats(backend, out), floats(backend, dy), floats(backend, filter)];
    dx.fill(0);
    const { inChannels } = info;
    const multiplier = info.outChannels / inChannels;
    forEachTap(info, (xAt, dyAt, wAt) => {
      for (let c = 0, k = 0; c < inChannels; c++) {
        let sum = dx[xAt + c]!;
        for (let m = 0; m < multiplier; m++, k++) sum += w[wAt + k]! * g[dyAt + k]!;
        dx[xAt + c] = sum;
      }
    });
    return out;
  },
);

export const depthwiseFilterGradient = kernel(
  DepthwiseConv2dNativeBackpropFilter,
  ({
    inputs: { x, dy },
    attrs: { strides, dilations, pad, dimRoundingMode, filterShape },
    backend,
  }: KernelCall<{ x: TensorInfo; dy: TensorInfo }, DepthwiseConv2dNativeBackpropFilterAttrs>) => {
    checkConvolution(DepthwiseConv2dNativeBackpropFilter, { x, dy });
    const info = backend_util.computeConv2DInfo(
      x.shape as Shape4D,
      filterShape,
      strides,
      dilations,
      pad,
      dimRoundingMode,
      true,
    );
    const out = backend.makeOutput(filterShape, 'float32');
    const [a, g] = [floats(backend, x), floats(backend, dy)];
    const dw = new Float64Array(filterShape.reduce((n, size) => n * size, 1));
    const { inChannels } = info;
    const multiplier = info.outChannels / inChannels;
    forEachTap(info, (xAt, dyAt, wAt) => {
      for (let c = 0, k = 0; c < inChannels; c++) {
        const value = a[xAt + c]!;
        for (let m = 0; m < multiplier; m++, k++) dw[wAt + k]! += value * g[dyAt + k]!;
      }
    });
    floats(backend, out).set(dw);
    return out;
  },
);
