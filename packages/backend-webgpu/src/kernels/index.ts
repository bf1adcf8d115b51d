/** The kernels that `activate()` registers and `deactivate()` removes. */
import type { KernelOverride } from '@ghl/core/backend';
import { stockOverrides } from '../kernel-overrides/index.js';
import { batchNorm, batchNormGradient } from './batch-norm.js';
import { overlap } from './column-sums.js';
import { competition } from './competition.js';
import { dropout } from './dropout.js';
import { filterGradient, filterGradients } from './filter-gradient.js';
import { allFinite, choose, fusedUpdate } from './fused-update.js';
import { inputGradient } from './input-gradient.js';

/** Additional kernels, then replacements of slow stock kernels, then replacements of wrong ones. */
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
