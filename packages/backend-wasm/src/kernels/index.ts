/** The kernels that `activate()` registers and `deactivate()` takes away again: those that stock tfjs-wasm lacks. */
import type { KernelConfig } from '@tensorflow/tfjs-core';
import { conv2dFilterGradient } from './conv2d-filter-gradient.js';
import { depthwiseFilterGradient, depthwiseInputGradient } from './depthwise-gradients.js';
import { unsortedSegmentSum } from './unsorted-segment-sum.js';

export const kernels: readonly KernelConfig[] = [
  conv2dFilterGradient,
  depthwiseFilterGradient,
  depthwiseInputGradient,
  unsortedSegmentSum,
];
