/**
 * Sums of the rows of each segment: the gradient of `gather`, and so of every embedding. The stock backend lacks it:
 *
 *     out[s, …] = Σ_{i : segmentIds[i] = s} x[i, …]
 *
 * As in TensorFlow, rows with an id below 0 are dropped. Sums are float32 for any type of x, as on the CPU backend.
 */
import { type TensorInfo, UnsortedSegmentSum, type UnsortedSegmentSumAttrs } from '@tensorflow/tfjs-core';
import { type KernelCall, kernel } from './kernel.js';

const unsortedSegmentSum = kernel(
  UnsortedSegmentSum,
  ({
    inputs: { x, segmentIds },
    attrs: { numSegments },
    backend,
  }: KernelCall<{ x: TensorInfo; segmentIds: TensorInfo }, UnsortedSegmentSumAttrs>) => {
    const inner = x.shape.slice(segmentIds.shape.length);
    const out = backend.makeOutput([numSegments, ...inner], 'float32');
    const [from, ids, to] = [x, segmentIds, out].map((t) => backend.typedArrayFromHeap(t)) as [
      Float32Array,
      Int32Array,
      Float32Array,
    ];
    to.fill(0);
    const size = inner.reduce((n, d) => n * d, 1);
    for (let i = 0; i < ids.length; i++) {
      const segment = ids[i]!;
      if (segment < 0 || segment >= numSegments) continue;
      for (let j = 0; j < size; j++) to[segment * size + j]! += from[i * size + j]!;
    }
    return out;
  },
);

export const kernels = [unsortedSegmentSum];
