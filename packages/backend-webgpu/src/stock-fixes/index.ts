/** Stand-ins for stock kernels that are wrong, in order. */
import type { KernelOverride } from '@ghl/core/backend';
import { maxPoolGradient } from './max-pool-gradient.js';
import { orderedProducts } from './ordered-products.js';
import { nanFixes } from './pass-nan.js';

/** All of them. */
export const stockFixes: readonly KernelOverride[] = [...nanFixes, ...orderedProducts, maxPoolGradient];
