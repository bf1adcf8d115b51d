/** Training on WebAssembly: `activate()` before anything else. */
import './codes.js';

export { activate, backend, deactivate, isSupported, type WasmOptions } from './activate.js';
