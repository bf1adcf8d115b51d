/**
 * Repetition along axes, which the gradient of every batch norm takes; the stock kernel computes an index for each
 * element. Axis by axis from the last, a block is written once and then doubled by copies within the result.
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
  // The values stand at the end of the result, and each pass spreads them out from the front: what it reads next always
  // lies behind what it has written.
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
      for (let done = block; done < repeated; done *= 2) {
        to.copyWithin(at + done, at, at + Math.min(done, repeated - done));
      }
    }
    count = blocks * repeated;
    block = repeated;
  }
  return out;
});

export const kernels = [tile];
