/** The kernels that `activate()` registers and `deactivate()` takes away again. */
import { batchNorm, batchNormGradient } from './batch-norm.js';
import {
  conv2dFilterGradient,
  conv2dFilterGradients,
  conv2dForward,
  conv2dInputGradient,
  fusedConv2dForward,
} from './convolution.js';
import {
  depthwiseFilterGradient,
  depthwiseForward,
  depthwiseInputGradient,
  fusedDepthwiseForward,
} from './depthwise.js';
import { dropout } from './dropout.js';
import { addN, binaryKernels, cast, clip, identity, reluGradient, select, unaryKernels } from './element-wise.js';
import type { Kernel } from './heap.js';
import { cropAndResize, gatherNd, slice } from './indices.js';
import { fusedMatMul, matMul, upperProduct } from './mat-mul.js';
import { choose, move } from './move.js';
import { oneHot } from './one-hot.js';
import { avgPool, avgPoolGradient, maxPool, maxPoolGradient } from './pooling.js';
import { allFinite, max, mean, otherReductions, overlap, sum } from './reductions.js';
import { resizeBilinear, resizeNearestGradient } from './resize.js';
import { runningKernels } from './running.js';
import { competition, softmax } from './softmax.js';
import { tile } from './tile.js';
import { transform } from './transform.js';
import { unsortedSegmentSum } from './unsorted-segment-sum.js';
import {
  avgPool3d,
  avgPool3dGradient,
  conv3dFilterGradient,
  conv3dForward,
  conv3dInputGradient,
  maxPool3d,
  maxPool3dGradient,
} from './volumes.js';

/** Those that stock tfjs-wasm lacks, then those that stand in for what is slow, or wrong somewhere. */
export const kernels: readonly Kernel[] = [
  conv2dFilterGradient,
  conv2dFilterGradients,
  batchNorm,
  batchNormGradient,
  move,
  choose,
  allFinite,
  competition,
  upperProduct,
  overlap,
  dropout,
  reluGradient,
  depthwiseFilterGradient,
  depthwiseInputGradient,
  unsortedSegmentSum,
  conv2dForward,
  fusedConv2dForward,
  conv2dInputGradient,
  depthwiseForward,
  fusedDepthwiseForward,
  matMul,
  fusedMatMul,
  maxPool,
  maxPoolGradient,
  avgPool,
  avgPoolGradient,
  conv3dForward,
  conv3dInputGradient,
  conv3dFilterGradient,
  maxPool3d,
  maxPool3dGradient,
  avgPool3d,
  avgPool3dGradient,
  sum,
  mean,
  max,
  ...otherReductions,
  ...runningKernels,
  softmax,
  identity,
  ...unaryKernels,
  ...binaryKernels,
  addN,
  select,
  cast,
  clip,
  tile,
  oneHot,
  resizeBilinear,
  resizeNearestGradient,
  cropAndResize,
  gatherNd,
  slice,
  transform,
];
