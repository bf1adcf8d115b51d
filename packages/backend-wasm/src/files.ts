/** Finds and reads the `.wasm` files of this package and of the stock backend. */
import { UnsupportedError } from '@ghl/core';
import type { Variant } from './module.js';
import { node } from './node.js';

/**
 * The location of files: the URL of a folder with all of them, ending in `/`, or a URL for each file that is not at its
 * default location. In Node, a path is possible.
 */
export type WasmPaths = string | Readonly<Record<string, string>>;

/** Reads a file. */
export type Read = (file: string) => Promise<Uint8Array<ArrayBuffer>>;

/** The files of this package. Bundlers find such literal URLs: they copy each file and insert its new URL here. */
const own: Readonly<Record<string, () => URL>> = {
  'relaxed-6x16.wasm': () => new URL('../dist/wasm/relaxed-6x16.wasm', import.meta.url),
  'relaxed-6x8.wasm': () => new URL('../dist/wasm/relaxed-6x8.wasm', import.meta.url),
  'plain-6x8.wasm': () => new URL('../dist/wasm/plain-6x8.wasm', import.meta.url),
} satisfies Record<`${Variant}.wasm`, () => URL>;

/**
 * Returns a function that reads files from `wasmPaths`, or from their default locations. In a browser, these are the
 * bundler's location for the files of this package, and the folder of the page for those of TensorFlow.js. In Node,
 * they are the packages, else the folder of the program, where a bundle has its files.
 *
 * @throws UnsupportedError `WASM_FAILED` with the file and the locations that were searched.
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

/** The first bytes of every WebAssembly file: a zero and `asm`. */
const magic = [0, 0x61, 0x73, 0x6d];

function usualPlaces(file: string): string[] {
  if (!node) return [own[file]?.().href ?? file];
  const inPackage = own[file] ?? (() => stockFile(file));
  return [inPackage, () => new URL(file, import.meta.url)].flatMap((place) => {
    try {
      return String(place());
    } catch {
      // A bundle may be far from any package, and a CommonJS bundle has no URL.
      return [];
    }
  });
}

/** A file of the stock package, in Node. */
function stockFile(file: string): string {
  const { createRequire } = process.getBuiltinModule('node:module');
  return createRequire(import.meta.url).resolve(`@tensorflow/tfjs-backend-wasm/wasm-out/${file}`);
}

/** Reads a URL, or in Node a path. */
async function load(place: string): Promise<Uint8Array<ArrayBuffer>> {
  if (node && !/^(https?|data|blob):/i.test(place)) {
    const { readFile } = process.getBuiltinModule('node:fs/promises');
    return new Uint8Array(await readFile(/^file:/i.test(place) ? new URL(place) : place));
  }
  const response = await fetch(place);
  if (!response.ok) throw new Error(`${response.status} ${response.statusText}`);
  return new Uint8Array(await response.arrayBuffer());
}
