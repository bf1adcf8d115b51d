/** Training on WebGPU: `activate()` before anything else. */
export { activate, backend, deactivate, isSupported, type WebGpuOptions } from './activate.js';
