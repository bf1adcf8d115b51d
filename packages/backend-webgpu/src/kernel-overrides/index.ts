/** Kernels that replace wrong stock kernels, in order: of several with one name, each calls the one before it. */
import type { KernelOverride } from '@ghl/core/backend';
import { maxPoolGradient } from './max-pool-gradient.js';
import { nanOverrides } from './nan-propagation.js';
import { orderedProducts } from './ordered-products.js';

/** All kernels of this folder. */
export const stockOverrides: readonly KernelOverride[] = [...nanOverrides, ...orderedProducts, maxPoolGradient];
