/** Training on WebAssembly: `activate()` before anything else. */
export { activate, backend, deactivate, isSupported, type WasmOptions } from './activate.js';
