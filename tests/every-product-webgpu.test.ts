import '../tools/vitest/software-gpu.js';
import { backend } from '@ghl/backend-webgpu';
import { everyProduct } from './every-product.js';

everyProduct(backend, { every: 11, steps: 50 });
