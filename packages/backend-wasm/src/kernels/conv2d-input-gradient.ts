/**
 * The input gradient of a convolution, in place of the stock kernel's scalar loop:
 *
 *     ∂x[b, h, w, c] = Σ_{i, j, k} ∂y[b, p, q, k] · W[i, j, c, k]   over p·s + i − top = h, q·s + j − left = w
 *
 * Two ways, both on XNNPACK. For stride 1 it is a convolution of ∂y, padded to the size of x, with the filter turned
 * round and its channels exchanged. Where that pads much, and for larger strides, it is the product ∂y · Wᵀ, whose
 * columns are then added up where they belong.
 */
import type { BackendWasm } from '@tensorflow/tfjs-backend-wasm';
import {
  BatchMatMul,
  backend_util,
  Conv2DBackpropInput,
  type Conv2DBackpropInputAttrs,
  type TensorInfo,
} from '@tensorflow/tfjs-core';
import {
  checkConvolution,
  conv2d,
  floats,
  type KernelCall,
  kernel,
  release,
  runKernel,
  type Shape4D,
  transpose,
  view,
} from './heap.js';

/** Multiplications that padding may waste for each addition that it saves (measured: they cost the same at 40 to 80). */
const worthAdding = 64;

export const conv2dInputGradient = kernel(
  Conv2DBackpropInput,
  ({
    inputs: { dy, filter },
    attrs: { strides, pad, dataFormat, dimRoundingMode, inputShape },
    backend,
  }: KernelCall<{ dy: TensorInfo; filter: TensorInfo }, Conv2DBackpropInputAttrs>) => {
    checkConvolution(Conv2DBackpropInput, { dy, filter }, dataFormat);
    const info = backend_util.computeConv2DInfo(inputShape, filter.shape as Shape4D, strides, 1, pad, dimRoundingMode);
    const { inHeight, inWidth, inChannels, outChannels, filterHeight, filterWidth, padInfo } = info;
    const { strideHeight, strideWidth } = info;
    const [, outHeight, outWidth] = dy.shape as Shape4D;
    const top = filterHeight - 1 - padInfo.top;
    const left = filterWidth - 1 - padInfo.left;
    const bottom = inHeight - outHeight - top + filterHeight - 1;
    const right = inWidth - outWidth - left + filterWidth - 1;
    const wasted = outChannels * ((inHeight * inWidth) / (outHeight * outWidth) - 1);
    const fits = strideHeight === 1 && strideWidth === 1 && Math.min(top, left, bottom, right) >= 0;
    if (!fits || wasted > worthAdding) return addColumns(backend, dy, filter, info);

    const taps = filterHeight * filterWidth;
    const swapped = transpose(backend, view(filter, [taps, inChannels, outChannels]), [0, 2, 1]);
    const turned = backend.makeOutput([filterHeight, filterWidth, outChannels, inChannels], 'float32');
    const [from, to] = [floats(backend, swapped), floats(backend, turned)];
    for (let t = 0, size = inChannels * outChannels; t < taps; t++) {
      to.set(from.subarray(t * size, (t + 1) * size), (taps - 1 - t) * size);
    }
    const out = conv2d(backend, dy, turned, [top, bottom, left, right]);
    release(backend, swapped, turned);
    return out;
  },
);

/** ∂y · Wᵀ gives, for each output position and tap, what the tap sends back; adds it up at the tap's input position. */
function addColumns(
  backend: BackendWasm,
  dy: TensorInfo,
  filter: TensorInfo,
  info: backend_util.Conv2DInfo,
): TensorInfo {
  const { inShape, inHeight, inWidth, inChannels, outChannels, filterHeight, filterWidth, padInfo } = info;
  const { strideHeight, strideWidth } = info;
  const [batch, outHeight, outWidth] = dy.shape as Shape4D;
  const rowSize = filterHeight * filterWidth * inChannels;
  const columns = runKernel(
    backend,
    BatchMatMul,
    { a: view(dy, [1, batch * outHeight * outWidth, outChannels]), b: view(filter, [1, rowSize, outChannels]) },
    { transposeA: false, transposeB: true },
  );
  const out = backend.makeOutput(inShape, 'float32');
  const [from, dx] = [floats(backend, columns), floats(backend, out)];
  dx.fill(0);
  let position = 0;
  for (let b = 0; b < batch; b++) {
    for (let p = 0; p < outHeight; p++) {
      for (let q = 0; q < outWidth; q++, position++) {
        for (let i = 0; i < filterHeight; i++) {
          const row = p * strideHeight + i - padInfo.top;
          if (row < 0 || row >= inHeight) continue;
          // The taps of one row lie side by side, in the columns and in x.
          const first = q * strideWidth - padInfo.left;
          const start = Math.max(0, -first);
          const size = (Math.min(filterWidth, inWidth - first) - start) * inChannels;
          const target = ((b * inHeight + row) * inWidth + first + start) * inChannels;
          const source = position * rowSize + (i * filterWidth + start) * inChannels;
          for (let n = 0; n < size; n++) dx[target + n]! += from[source + n]!;
        }
      }
    }
  }
  release(backend, columns);
  return out;
}
