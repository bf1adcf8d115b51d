/**
 * Repetition along axes, which the gradient of every batch norm uses. The stock kernel computes an index for each
 * element. This one processes the axes from the last to the first. It writes a block once and then doubles it by copies
 * within the result.
 */
import { type TensorInfo, Tile, type TileAttrs, util } from '@tensorflow/tfjs-core';
import { type KernelCall, kernel } from './kernel.js';

const tile = kernel(Tile, (call: KernelCall<{ x: TensorInfo }, TileAttrs>, stock) => {
  const {
    inputs: { x },
    attrs: { reps },
    backend,
  } = call;
  const shape = x.shape.map((size, axis) => size * reps[axis]!);
  const size = util.sizeFromShape(shape);
  if (size === 0 || x.dtype === 'string' || x.dtype === 'complex64') return stock(call);

  const out = backend.makeOutput(shape, x.dtype);
  const [from, to] = [backend.typedArrayFromHeap(x), backend.typedArrayFromHeap(out)];
  // The values are at the end of the result, and each pass spreads them from the front: its reads are always ahead of
  // its writes.
  to.set(from, size - from.length);
  let count = from.length;
  let block = 1;
  for (let axis = x.shape.length - 1; axis >= 0; axis--) {
    block *= x.shape[axis]!;
    const repeated = block * reps[axis]!;
    if (repeated === block) continue;
    const blocks = count / block;
    const target = size - blocks * repeated;
    for (let b = 0, source = size - count, at = target; b < blocks; b++, source += block, at += repeated) {
      to.copyWithin(at, source, source + block);
      for (let length = block; length < repeated; length *= 2) {
        to.copyWithin(at + length, at, at + Math.min(length, repeated - length));
      }
    }
    count = blocks * repeated;
    block = repeated;
  }
  return out;
});

export const kernels = [tile];
