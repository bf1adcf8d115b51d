/** Stand-ins for stock kernels that are wrong, in order. */
import { maxPoolGradient } from './max-pool-gradient.js';
import { orderedProducts } from './ordered-products.js';
import { nanFixes } from './pass-nan.js';
import type { StockFix } from './stock-fix.js';

/** All of them. */
export const stockFixes: readonly StockFix[] = [...nanFixes, ...orderedProducts, maxPoolGradient];
