/** All kernels that `activate()` registers. */
import { filterGradients } from './filter-gradients.js';
import type { Kernel } from './kernel.js';
import { padding } from './padding.js';
import { reluGradient } from './relu-gradient.js';

export const kernels: readonly Kernel[] = [...padding, filterGradients, reluGradient];
