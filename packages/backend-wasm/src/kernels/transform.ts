/**
 * Projective transforms of images. The stock kernel does not reflect positions before an image. The kernel of the CPU
 * backend replaces it there, but supports one image only.
 */
import { Concat, Slice, type TensorInfo, Transform, type TransformAttrs } from '@tensorflow/tfjs-core';
import { type KernelCall, kernel, runKernel, type Shape4D } from './kernel.js';

const transform = kernel(
  Transform,
  (call: KernelCall<{ image: TensorInfo; transforms: TensorInfo }, TransformAttrs>, stock) => {
    const {
      inputs: { image, transforms },
      attrs,
      backend,
    } = call;
    const [batch, height, width, channels] = image.shape as Shape4D;
    const shape = [batch, ...(attrs.outputShape ?? [height, width]), channels];
    if (shape.includes(0)) return backend.makeOutput(shape, image.dtype);
    if (batch === 1 || (image.dtype === 'float32' && attrs.fillMode !== 'reflect')) return stock(call);
    const part = (x: TensorInfo, at: number) =>
      runKernel(
        backend,
        Slice,
        { x },
        { begin: x.shape.map((_, axis) => (axis === 0 ? at : 0)), size: [1, ...x.shape.slice(1)] },
      );
    const images = Array.from({ length: batch }, (_, i) => {
      const parts = { image: part(image, i), transforms: part(transforms, transforms.shape[0] === 1 ? 0 : i) };
      const out = runKernel(backend, Transform, parts, attrs);
      for (const { dataId } of Object.values(parts)) backend.disposeData(dataId);
      return out;
    });
    const out = runKernel(backend, Concat, images, { axis: 0 });
    for (const { dataId } of images) backend.disposeData(dataId);
    return out;
  },
);

export const kernels = [transform];
