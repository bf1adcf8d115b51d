/**
 * Kernels that read values by index, with a check of the bounds. The stock kernels read beyond the tensor.
 */
import { DataError } from '@ghl/core';
import {
  CropAndResize,
  type CropAndResizeAttrs,
  GatherNd,
  Slice,
  type SliceAttrs,
  slice_util,
  type TensorInfo,
  util,
} from '@tensorflow/tfjs-core';
import { type KernelCall, kernel } from './kernel.js';

/** @throws DataError `INDEX_OUT_OF_RANGE`. */
function checkIndex(name: string, index: number, size: number): void {
  if (index >= 0 && index < size) return;
  throw new DataError(
    'INDEX_OUT_OF_RANGE',
    `${name} got index ${index} for an axis of ${size}.`,
    'use indices from 0 to the size of the axis less 1.',
  );
}

const gatherNd = kernel(GatherNd, (call: KernelCall<{ params: TensorInfo; indices: TensorInfo }, object>, stock) => {
  const {
    inputs: { params, indices },
    backend,
  } = call;
  const depth = indices.shape.at(-1)!;
  if (indices.dtype !== 'int32' || depth > params.shape.length) return stock(call);
  const places = backend.typedArrayFromHeap(indices);
  for (let i = 0; i < places.length; i++) checkIndex(GatherNd, places[i]!, params.shape[i % depth]!);
  const shape = [...indices.shape.slice(0, -1), ...params.shape.slice(depth)];
  return shape.includes(0) ? backend.makeOutput(shape, params.dtype) : stock(call);
});

const cropAndResize = kernel(
  CropAndResize,
  (call: KernelCall<{ image: TensorInfo; boxes: TensorInfo; boxInd: TensorInfo }, CropAndResizeAttrs>, stock) => {
    const { image, boxInd } = call.inputs;
    for (const index of call.backend.typedArrayFromHeap(boxInd)) checkIndex(CropAndResize, index, image.shape[0]!);
    return stock(call);
  },
);

/** A slice. The stock kernel copies the whole input. */
const slice = kernel(Slice, (call: KernelCall<{ x: TensorInfo }, SliceAttrs>, stock) => {
  const {
    inputs: { x },
    attrs,
    backend,
  } = call;
  if (x.dtype === 'string') return stock(call);
  const [begin, size] = slice_util.parseSliceParams(x as never, attrs.begin, attrs.size) as [number[], number[]];
  for (const [axis, first] of begin.entries()) {
    if (size[axis]! > 0) for (const end of [first, first + size[axis]! - 1]) checkIndex(Slice, end, x.shape[axis]!);
  }
  const out = backend.makeOutput(size, x.dtype);
  const [from, to] = [backend.typedArrayFromHeap(x), backend.typedArrayFromHeap(out)];
  // Complete trailing axes form one run with the part of the axis before them.
  let last = x.shape.length - 1;
  while (last > 0 && size[last] === x.shape[last]) last--;
  const strides = x.shape.map((_, axis) => util.sizeFromShape(x.shape.slice(axis + 1)));
  const run = size[last]! * strides[last]!;
  for (let at = 0, i = 0; at < to.length; at += run, i++) {
    let source = begin[last]! * strides[last]!;
    for (let axis = last - 1, rest = i; axis >= 0; axis--) {
      source += (begin[axis]! + (rest % size[axis]!)) * strides[axis]!;
      rest = Math.floor(rest / size[axis]!);
    }
    to.set(from.subarray(source, source + run), at);
  }
  return out;
});

export const kernels = [gatherNd, cropAndResize, slice];
