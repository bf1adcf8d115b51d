/**
 * Depthwise convolutions for shapes where the stock kernel is wrong, and their gradients, which the stock backend
 * lacks. For output channel k = c·M + m of input channel c and multiplier M, stride s and dilation d, sum over all
 * valid positions:
 *
 *     y[b, p, q, k]                               += x[b, p·s + i·d − top, q·s + j·d − left, c] · W[i, j, c, m]
 *     ∂x[b, p·s + i·d − top, q·s + j·d − left, c] += W[i, j, c, m] · ∂y[b, p, q, k]
 *     ∂W[i, j, c, m]                              += x[b, p·s + i·d − top, q·s + j·d − left, c] · ∂y[b, p, q, k]
 */
import { gradientInfo } from '@ghl/core/backend';
import {
  backend_util,
  DepthwiseConv2dNative,
  type DepthwiseConv2dNativeAttrs,
  DepthwiseConv2dNativeBackpropFilter,
  type DepthwiseConv2dNativeBackpropFilterAttrs,
  DepthwiseConv2dNativeBackpropInput,
  type DepthwiseConv2dNativeBackpropInputAttrs,
  FusedDepthwiseConv2D,
  type FusedDepthwiseConv2DAttrs,
  type TensorInfo,
} from '@tensorflow/tfjs-core';
import { applyEpilogue, type EpilogueInputs } from './epilogue.js';
import { floats } from './heap.js';
import { checkConvolution, checkWindow, floatKernel, type KernelCall, type Shape4D } from './kernel.js';

/** Calls `visit` with the offsets of the first channels of x, ∂y and W, for each term of the sum. */
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

type ForwardInputs = { readonly x: TensorInfo; readonly filter: TensorInfo };

const depthwiseForward = floatKernel(
  DepthwiseConv2dNative,
  (call: KernelCall<ForwardInputs, DepthwiseConv2dNativeAttrs>, stock) => {
    const info = forwardInfo(DepthwiseConv2dNative, call);
    return stockFits(info) ? stock(call) : forward(info, call);
  },
);

/** With an optional bias, activation and weights of PReLU. */
const fusedDepthwiseForward = floatKernel(
  FusedDepthwiseConv2D,
  (call: KernelCall<ForwardInputs & EpilogueInputs, FusedDepthwiseConv2DAttrs>, stock) => {
    const info = forwardInfo(FusedDepthwiseConv2D, call);
    return stockFits(info) ? stock(call) : applyEpilogue(call, forward(info, call));
  },
);

function forwardInfo(
  name: string,
  {
    inputs: { x, filter },
    attrs: { strides, pad, dataFormat, dilations, dimRoundingMode },
  }: KernelCall<ForwardInputs, DepthwiseConv2dNativeAttrs>,
): backend_util.Conv2DInfo {
  checkConvolution(name, { x, filter }, dataFormat);
  const [image, window] = [x.shape as Shape4D, filter.shape as Shape4D];
  // TensorFlow.js omits defaults.
  const info = backend_util.computeConv2DInfo(image, window, strides, dilations ?? 1, pad, dimRoundingMode, true);
  checkWindow(name, info);
  return info;
}

/**
 * Whether the stock kernel writes the expected output. It recomputes the size of its output, although for numeric
 * padding TensorFlow.js uses one stride and one size for both axes. It writes beyond an empty output. And with 'same',
 * it pads too little if the stride exceeds the window.
 */
function stockFits(info: backend_util.Conv2DInfo): boolean {
  const { inHeight, inWidth, outHeight, outWidth, effectiveFilterHeight, effectiveFilterWidth, padInfo } = info;
  const { filterHeight, filterWidth, strideHeight, strideWidth } = info;
  const size = (length: number, window: number, stride: number) => Math.floor((length - window) / stride) + 1;
  return (
    outHeight === size(inHeight + padInfo.top + padInfo.bottom, effectiveFilterHeight, strideHeight) &&
    outWidth === size(inWidth + padInfo.left + padInfo.right, effectiveFilterWidth, strideWidth) &&
    outHeight * outWidth > 0 &&
    (padInfo.type !== 'SAME' || (filterHeight >= strideHeight && filterWidth >= strideWidth))
  );
}

function forward(
  info: backend_util.Conv2DInfo,
  { inputs: { x, filter }, backend }: KernelCall<ForwardInputs, object>,
): TensorInfo {
  const out = backend.makeOutput(info.outShape, 'float32');
  const [y, image, w] = [floats(backend, out), floats(backend, x), floats(backend, filter)];
  y.fill(0);
  const { inChannels } = info;
  const multiplier = info.outChannels / inChannels;
  forEachTap(info, (xAt, yAt, wAt) => {
    for (let c = 0, k = 0; c < inChannels; c++) {
      for (let m = 0; m < multiplier; m++, k++) y[yAt + k]! += image[xAt + c]! * w[wAt + k]!;
    }
  });
  return out;
}

const depthwiseInputGradient = floatKernel(
  DepthwiseConv2dNativeBackpropInput,
  ({
    inputs: { dy, filter },
    attrs,
    backend,
  }: KernelCall<{ dy: TensorInfo; filter: TensorInfo }, DepthwiseConv2dNativeBackpropInputAttrs>) => {
    checkConvolution(DepthwiseConv2dNativeBackpropInput, { dy, filter });
    const { inputShape } = attrs;
    const shapes = [inputShape, filter.shape as Shape4D] as const;
    const info = gradientInfo(DepthwiseConv2dNativeBackpropInput, dy, shapes, attrs, true);
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

const depthwiseFilterGradient = floatKernel(
  DepthwiseConv2dNativeBackpropFilter,
  ({
    inputs: { x, dy },
    attrs,
    backend,
  }: KernelCall<{ x: TensorInfo; dy: TensorInfo }, DepthwiseConv2dNativeBackpropFilterAttrs>) => {
    checkConvolution(DepthwiseConv2dNativeBackpropFilter, { x, dy });
    const { filterShape } = attrs;
    const shapes = [x.shape as Shape4D, filterShape] as const;
    const info = gradientInfo(DepthwiseConv2dNativeBackpropFilter, dy, shapes, attrs, true);
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

export const kernels = [depthwiseForward, fusedDepthwiseForward, depthwiseInputGradient, depthwiseFilterGradient];
