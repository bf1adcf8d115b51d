/** The `.wasm` files, ours and those of the stock backend: where they are, and their bytes. */
import type { Variant } from './module.js';
import { node } from './node.js';

/** Says where a browser finds files: the URL of the folder of all, ending in `/`, or a URL for each that is elsewhere. */
export type WasmPaths = string | Readonly<Record<string, string>>;

/** Gives the bytes of a file. */
export type Read = (file: string) => Promise<Uint8Array<ArrayBuffer>>;

/** Ours. Written out one by one, since that is what bundlers look for: they copy each and put its new URL here. */
const own: Readonly<Record<string, () => URL>> = {
  'relaxed-6x16.wasm': () => new URL('../dist/wasm/relaxed-6x16.wasm', import.meta.url),
  'relaxed-6x8.wasm': () => new URL('../dist/wasm/relaxed-6x8.wasm', import.meta.url),
  'plain-6x8.wasm': () => new URL('../dist/wasm/plain-6x8.wasm', import.meta.url),
} satisfies Record<`${Variant}.wasm`, () => URL>;

/** Reads files where `wasmPaths` says. By default, stock files are beside the page, and in Node in their package. */
export function reader(wasmPaths: WasmPaths = {}): Read {
  if (node) {
    const { createRequire } = process.getBuiltinModule('node:module');
    const { readFile } = process.getBuiltinModule('node:fs/promises');
    const stock = (file: string) =>
      createRequire(import.meta.url).resolve(`@tensorflow/tfjs-backend-wasm/wasm-out/${file}`);
    return async (file) => new Uint8Array(await readFile(own[file]?.() ?? stock(file)));
  }
  return async (file) => {
    const url = typeof wasmPaths === 'string' ? wasmPaths + file : (wasmPaths[file] ?? own[file]?.() ?? file);
    const response = await fetch(url);
    if (!response.ok) throw new Error(`${response.url}: ${response.status} ${response.statusText}`);
    return new Uint8Array(await response.arrayBuffer());
  };
}
