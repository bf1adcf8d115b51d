import '../tools/vitest/software-gpu.js';
import { backend } from '@ghl/backend-webgpu';
import { everyProduct } from './every-product.js';

everyProduct(backend, { sampled: true, steps: 10 });
