/** The kernels that `activate()` registers and `deactivate()` takes away again. */
import type { KernelConfig } from '@tensorflow/tfjs-core';
import type { StockFix } from '../stock-fixes/stock-fix.js';
import { batchNorm, batchNormGradient } from './batch-norm.js';
import { overlap } from './column-sums.js';
import { competition } from './competition.js';
import { dropout } from './dropout.js';
import { filterGradient, filterGradients } from './filter-gradient.js';
import { inputGradient } from './input-gradient.js';
import { allFinite, choose, move } from './move.js';

/** Those that the stock backend lacks. */
export const kernels: readonly KernelConfig[] = [
  filterGradients,
  competition,
  overlap,
  move,
  choose,
  allFinite,
  batchNorm,
  batchNormGradient,
  dropout,
];

/** Those that stand in for slow ones. */
export const quickerKernels: readonly StockFix[] = [filterGradient, inputGradient];
