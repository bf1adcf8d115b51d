/// <reference types="vite/client" />
/** A page that offers what every runtime must do to whoever steers the browser. */

import { backend as wasm } from '@ghl/backend-wasm';
import { backend as webgpu } from '@ghl/backend-webgpu';
import simd from '@tensorflow/tfjs-backend-wasm/wasm-out/tfjs-backend-wasm-simd.wasm?url';
import threaded from '@tensorflow/tfjs-backend-wasm/wasm-out/tfjs-backend-wasm-threaded-simd.wasm?url';
import { smoke } from '../smoke.js';

const wasmPaths = { 'tfjs-backend-wasm-threaded-simd.wasm': threaded, 'tfjs-backend-wasm-simd.wasm': simd };

Object.assign(globalThis, {
  smokeWasm: (options: object) => smoke(wasm, { wasmPaths, ...options }),
  smokeWebgpu: () => smoke(webgpu),
});
