/**
 * Resizing to an empty image, for which the stock kernel fails, and the gradient of nearest-neighbour resizing. The
 * stock kernel of the gradient, like that of the CPU backend, searches ∂y for each pixel. It never ends if the corners
 * of an axis of one pixel are aligned.
 */
import {
  ResizeBilinear,
  type ResizeBilinearAttrs,
  ResizeNearestNeighborGrad,
  type ResizeNearestNeighborGradAttrs,
  type TensorInfo,
} from '@tensorflow/tfjs-core';
import { floats } from './heap.js';
import { floatKernel, type KernelCall, kernel, type Shape4D } from './kernel.js';

const resizeBilinear = kernel(
  ResizeBilinear,
  (call: KernelCall<{ images: TensorInfo }, ResizeBilinearAttrs>, stock) => {
    const { inputs, attrs, backend } = call;
    const [batch, , , channels] = inputs.images.shape as Shape4D;
    return attrs.size.includes(0) ? backend.makeOutput([batch, ...attrs.size, channels], 'float32') : stock(call);
  },
);

/** The source of each of `count` pixels on an axis of `size` pixels, rounded as in the forward pass. */
function sources(size: number, count: number, alignCorners: boolean): number[] {
  const [from, to] = alignCorners && count > 1 ? [size - 1, count - 1] : [size, count];
  const scale = Math.fround(from / to);
  const nearest = alignCorners ? Math.round : Math.floor;
  return Array.from({ length: count }, (_, i) => Math.min(size - 1, nearest(Math.fround(i * scale))));
}

const resizeNearestGradient = floatKernel(
  ResizeNearestNeighborGrad,
  ({
    inputs: { images, dy },
    attrs: { alignCorners },
    backend,
  }: KernelCall<{ images: TensorInfo; dy: TensorInfo }, ResizeNearestNeighborGradAttrs>) => {
    const [batch, height, width, channels] = images.shape as Shape4D;
    const [, rows, columns] = dy.shape as Shape4D;
    const out = backend.makeOutput(images.shape, 'float32');
    const [dx, g] = [floats(backend, out), floats(backend, dy)];
    dx.fill(0);
    const ys = sources(height, rows, alignCorners);
    const xs = sources(width, columns, alignCorners);
    let at = 0;
    for (let b = 0; b < batch; b++) {
      for (const y of ys) {
        for (const x of xs) {
          const to = ((b * height + y) * width + x) * channels;
          for (let c = 0; c < channels; c++) dx[to + c]! += g[at++]!;
        }
      }
    }
    return out;
  },
);

export const kernels = [resizeBilinear, resizeNearestGradient];
