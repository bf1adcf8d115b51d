/** The `.wasm` files, ours and those of the stock backend: where they are, and their bytes. */
import { UnsupportedError } from '@ghl/core';
import type { Variant } from './module.js';
import { node } from './node.js';

/**
 * Says where files are: the URL of the folder of all, ending in `/`, or a URL for each that is not where it is looked
 * for. In Node, a path will do.
 */
export type WasmPaths = string | Readonly<Record<string, string>>;

/** Gives the bytes of a file. */
export type Read = (file: string) => Promise<Uint8Array<ArrayBuffer>>;

/** Ours. Written out one by one, since that is what bundlers look for: they copy each and put its new URL here. */
const own: Readonly<Record<string, () => URL>> = {
  'relaxed-6x16.wasm': () => new URL('../dist/wasm/relaxed-6x16.wasm', import.meta.url),
  'relaxed-6x8.wasm': () => new URL('../dist/wasm/relaxed-6x8.wasm', import.meta.url),
  'plain-6x8.wasm': () => new URL('../dist/wasm/plain-6x8.wasm', import.meta.url),
} satisfies Record<`${Variant}.wasm`, () => URL>;

/**
 * Reads files where `wasmPaths` says. By default, ours are where the bundler put them, and those of TensorFlow.js
 * beside the page; in Node, they are in their packages, or else beside the program, where a bundle has its files.
 *
 * @throws UnsupportedError `WASM_FAILED`, which names the file and where it was looked for.
 */
export function reader(wasmPaths: WasmPaths = {}): Read {
  return async (file) => {
    const override = typeof wasmPaths === 'string' ? wasmPaths + file : wasmPaths[file];
    const places = override === undefined ? usualPlaces(file) : [override];
    const failures: string[] = [];
    for (const place of places) {
      try {
        const bytes = await load(place);
        if (magic.every((byte, i) => bytes[i] === byte)) return bytes;
        failures.push(`${place} (not a WebAssembly file)`);
      } catch (error) {
        failures.push(`${place} (${error instanceof Error ? error.message : error})`);
      }
    }
    throw new UnsupportedError(
      'WASM_FAILED',
      `The file ${file} was not found: looked for ${failures.join(', ')}.`,
      `${node ? 'copy' : 'serve'} the .wasm files in dist/wasm of @ghl/backend-wasm and in wasm-out of ` +
        "@tensorflow/tfjs-backend-wasm 4.22.0 in one folder, and name it: activate({ wasmPaths: './wasm/' }).",
    );
  };
}

/** What every WebAssembly file begins with: a zero and `asm`. */
const magic = [0, 0x61, 0x73, 0x6d];

function usualPlaces(file: string): string[] {
  if (!node) return [own[file]?.().href ?? file];
  const inPackage = own[file] ?? (() => stockFile(file));
  return [inPackage, () => new URL(file, import.meta.url)].flatMap((place) => {
    try {
      return String(place());
    } catch {
      // A bundle may have no package near it, and one of CommonJS no URL of its own.
      return [];
    }
  });
}

/** A file of the stock package, in Node. */
function stockFile(file: string): string {
  const { createRequire } = process.getBuiltinModule('node:module');
  return createRequire(import.meta.url).resolve(`@tensorflow/tfjs-backend-wasm/wasm-out/${file}`);
}

/** The bytes at a URL; in Node also at a path. */
async function load(place: string): Promise<Uint8Array<ArrayBuffer>> {
  if (node && !/^(https?|data|blob):/i.test(place)) {
    const { readFile } = process.getBuiltinModule('node:fs/promises');
    return new Uint8Array(await readFile(/^file:/i.test(place) ? new URL(place) : place));
  }
  const response = await fetch(place);
  if (!response.ok) throw new Error(`${response.status} ${response.statusText}`);
  return new Uint8Array(await response.arrayBuffer());
}
