/**
 * The gradients of pooling, in place of stock loops that are many times slower than the pooling itself.
 *
 *     maximum: ∂y goes to the first of the largest values in its window
 *     average: ∂y / n goes to each of the n values in its window, padding not counted, as in the forward pass
 */
import {
  AvgPoolGrad,
  type AvgPoolGradAttrs,
  backend_util,
  MaxPoolGrad,
  type MaxPoolGradAttrs,
  type TensorInfo,
} from '@tensorflow/tfjs-core';
import { checkConvolution, floats, type KernelCall, kernel, type Shape4D } from './heap.js';

/** Calls `visit` for every window with the rows and columns of x that it covers and the offset of its ∂y. */
function forEachWindow(
  { batchSize, inHeight, inWidth, inChannels, ...info }: backend_util.Conv2DInfo,
  [, outHeight, outWidth]: Shape4D,
  visit: (image: number, top: number, bottom: number, left: number, right: number, dy: number) => void,
): void {
  const { strideHeight, strideWidth, filterHeight, filterWidth, padInfo } = info;
  let dy = 0;
  for (let b = 0; b < batchSize; b++) {
    for (let p = 0; p < outHeight; p++) {
      const top = p * strideHeight - padInfo.top;
      for (let q = 0; q < outWidth; q++, dy += inChannels) {
        const left = q * strideWidth - padInfo.left;
        visit(
          b * inHeight * inWidth * inChannels,
          Math.max(0, top),
          Math.min(inHeight, top + filterHeight),
          Math.max(0, left),
          Math.min(inWidth, left + filterWidth),
          dy,
        );
      }
    }
  }
}

export const maxPoolGradient = kernel(
  MaxPoolGrad,
  ({
    inputs: { dy, input },
    attrs: { filterSize, strides, pad, dimRoundingMode },
    backend,
  }: KernelCall<{ dy: TensorInfo; input: TensorInfo }, MaxPoolGradAttrs>) => {
    checkConvolution(MaxPoolGrad, { dy, input });
    const info = backend_util.computePool2DInfo(input.shape as Shape4D, filterSize, strides, 1, pad, dimRoundingMode);
    const { inWidth, inChannels } = info;
    const out = backend.makeOutput(input.shape, 'float32');
    const [x, g, dx] = [floats(backend, input), floats(backend, dy), floats(backend, out)];
    dx.fill(0);
    const largest = new Float32Array(inChannels);
    const winner = new Int32Array(inChannels);
    forEachWindow(info, dy.shape as Shape4D, (image, top, bottom, left, right, dyAt) => {
      winner.fill(-1);
      for (let row = top; row < bottom; row++) {
        for (let column = left; column < right; column++) {
          const at = image + (row * inWidth + column) * inChannels;
          for (let c = 0; c < inChannels; c++) {
            const value = x[at + c]!;
            if (winner[c]! < 0 || value > largest[c]!) {
              largest[c] = value;
              winner[c] = at + c;
            }
          }
        }
      }
      for (let c = 0; c < inChannels; c++) if (winner[c]! >= 0) dx[winner[c]!]! += g[dyAt + c]!;
    });
    return out;
  },
);

export const avgPoolGradient = kernel(
  AvgPoolGrad,
  ({
    inputs: { dy, input },
    attrs: { filterSize, strides, pad },
    backend,
  }: KernelCall<{ dy: TensorInfo; input: TensorInfo }, AvgPoolGradAttrs>) => {
    checkConvolution(AvgPoolGrad, { dy, input });
    const info = backend_util.computePool2DInfo(input.shape as Shape4D, filterSize, strides, 1, pad);
    const { inWidth, inChannels } = info;
    const out = backend.makeOutput(input.shape, 'float32');
    const [g, dx] = [floats(backend, dy), floats(backend, out)];
    dx.fill(0);
    forEachWindow(info, dy.shape as Shape4D, (image, top, bottom, left, right, dyAt) => {
      const share = 1 / ((bottom - top) * (right - left));
      for (let row = top; row < bottom; row++) {
        for (let column = left; column < right; column++) {
          const at = image + (row * inWidth + column) * inChannels;
          for (let c = 0; c < inChannels; c++) dx[at + c]! += share * g[dyAt + c]!;
        }
      }
    });
    return out;
  },
);
