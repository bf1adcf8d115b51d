import { backend } from '@ghl/backend-wasm';
import { everyProduct } from './every-product.js';

everyProduct({ ...backend, activate: () => backend.activate({ threads: 1 }) }, { sampled: false, steps: 1000 });
