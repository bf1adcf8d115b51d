/** Training on WebGPU: `activate()` before anything else. */
import './codes.js';

export { activate, backend, deactivate, isSupported, type WebGpuOptions } from './activate.js';
