/// <reference types="vite/client" />
/** The functions of the page and its worker for the driver of the browser. */
import { backend as wasm } from '@ghl/backend-wasm';
import { backend as webgpu } from '@ghl/backend-webgpu';
import simd from '@tensorflow/tfjs-backend-wasm/wasm-out/tfjs-backend-wasm-simd.wasm?url';
import threaded from '@tensorflow/tfjs-backend-wasm/wasm-out/tfjs-backend-wasm-threaded-simd.wasm?url';
import { smoke } from '../smoke.js';

const wasmPaths = { 'tfjs-backend-wasm-threaded-simd.wasm': threaded, 'tfjs-backend-wasm-simd.wasm': simd };
const backends = { wasm, webgpu };

/** The functions by name. */
export const offers = {
  isolated: async () => crossOriginIsolated,
  support: (backend: keyof typeof backends) => backends[backend].isSupported(),
  smoke: (backend: keyof typeof backends, options: object = {}, compared = '') =>
    smoke(backends[backend], backend === 'wasm' ? { wasmPaths, ...options } : options, compared),
  /** The result or the error of `activate()`. */
  async activation(backend: keyof typeof backends, options: object = {}) {
    try {
      const got = await backends[backend].activate(backend === 'wasm' ? { wasmPaths, ...options } : options);
      await backends[backend].deactivate();
      return { got };
    } catch (error) {
      const { name, message, code, help } = error as Error & { code?: string; help?: string };
      return { refused: { name, message, code, help } };
    }
  },
};
