/** Stand-ins for stock kernels that are wrong, in order. */
import type { KernelOverride } from '@ghl/core/backend';
import { maxPoolGradient } from './max-pool-gradient.js';
import { nanOverrides } from './nan-propagation.js';
import { orderedProducts } from './ordered-products.js';

/** All of them. */
export const stockOverrides: readonly KernelOverride[] = [...nanOverrides, ...orderedProducts, maxPoolGradient];
