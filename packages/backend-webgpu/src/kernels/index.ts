/** The kernels that `activate()` registers and `deactivate()` takes away again. */
import type { KernelOverride } from '@ghl/core/backend';
import { stockOverrides } from '../kernel-overrides/index.js';
import { batchNorm, batchNormGradient } from './batch-norm.js';
import { overlap } from './column-sums.js';
import { competition } from './competition.js';
import { dropout } from './dropout.js';
import { filterGradient, filterGradients } from './filter-gradient.js';
import { allFinite, choose, fusedUpdate } from './fused-update.js';
import { inputGradient } from './input-gradient.js';

/** Those that the stock backend lacks, those that replace slow ones, and those that replace wrong ones, in order. */
export const kernels: readonly KernelOverride[] = [
  filterGradients,
  competition,
  overlap,
  fusedUpdate,
  choose,
  allFinite,
  batchNorm,
  batchNormGradient,
  dropout,
  filterGradient,
  inputGradient,
  ...stockOverrides,
];
