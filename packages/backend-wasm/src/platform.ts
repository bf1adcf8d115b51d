/** Whether the engine has the WebAssembly that the backend needs. */
import type { Support } from '@ghl/core';
import { messageOf } from '@ghl/core/backend';
import { node } from './node.js';

/** A module of one function that uses a 128-bit vector. */
const simdProbe = new Uint8Array([
  0, 97, 115, 109, 1, 0, 0, 0, 1, 4, 1, 96, 0, 0, 3, 2, 1, 0, 10, 9, 1, 7, 0, 65, 0, 253, 15, 26, 11,
]);

/** Whether WebAssembly with SIMD runs here. Never throws. */
export async function findPlatform(): Promise<Support> {
  const help =
    'use Node 20.19 or later, or a browser with WebAssembly SIMD (Chrome 91, Firefox 89, Safari 16.4 or later); else ' +
    'train on @tensorflow/tfjs-backend-cpu.';
  if (typeof WebAssembly !== 'object') return { supported: false, reason: 'WebAssembly is not available.', help };
  try {
    if (!WebAssembly.validate(simdProbe)) {
      return { supported: false, reason: 'WebAssembly has no SIMD instructions here.', help };
    }
    // A content security policy may forbid this, and compilation, but not validation.
    await WebAssembly.instantiate(simdProbe);
    return { supported: true };
  } catch (error) {
    const reason = `WebAssembly is disabled here: ${messageOf(error)}`;
    return node
      ? { supported: false, reason, help }
      : { supported: false, reason, help: "allow 'wasm-unsafe-eval' as a script-src of the content security policy." };
  }
}
