/** The kernels that `activate()` registers and `deactivate()` takes away again. */
import { batchNorm, batchNormGradient } from './batch-norm.js';
import {
  conv2dFilterGradient,
  conv2dFilterGradients,
  conv2dForward,
  conv2dInputGradient,
  fusedConv2dForward,
} from './convolution.js';
import { depthwiseFilterGradient, depthwiseInputGradient } from './depthwise-gradients.js';
import type { Kernel } from './heap.js';
import { fusedMatMul, matMul } from './mat-mul.js';
import { move } from './move.js';
import { avgPoolGradient, maxPoolGradient } from './pool-gradients.js';
import { meanOverLeadingAxes, sumOverLeadingAxes } from './reductions.js';
import { sign } from './sign.js';
import { tile } from './tile.js';
import { unsortedSegmentSum } from './unsorted-segment-sum.js';

/** Those that stock tfjs-wasm lacks, then those that stand in for slow ones, and for one that is wrong. */
export const kernels: readonly Kernel[] = [
  conv2dFilterGradient,
  conv2dFilterGradients,
  batchNorm,
  batchNormGradient,
  move,
  depthwiseFilterGradient,
  depthwiseInputGradient,
  unsortedSegmentSum,
  conv2dForward,
  fusedConv2dForward,
  conv2dInputGradient,
  matMul,
  fusedMatMul,
  maxPoolGradient,
  avgPoolGradient,
  sumOverLeadingAxes,
  meanOverLeadingAxes,
  tile,
  sign,
];
