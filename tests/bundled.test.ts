/** A Node program bundled into one file with all of TensorFlow.js, with `.wasm` files in various places. */
import { execFile } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { build } from 'vite';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const run = promisify(execFile);
const sources = ['packages/backend-wasm/dist/wasm', 'node_modules/@tensorflow/tfjs-backend-wasm/wasm-out'];

/** Copies all `.wasm` files into a folder. */
async function copyWasm(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  for (const source of sources) {
    for (const file of await readdir(source)) {
      if (file.endsWith('.wasm')) await copyFile(join(source, file), join(folder, file));
    }
  }
}

describe.each([
  ['es', 'program.mjs'],
  ['cjs', 'program.cjs'],
] as const)('a program bundled as %s', (format, name) => {
  let root: string;
  /** Runs the program from a folder other than its own. */
  const program = async (options: object, folder = 'program') => {
    const { stdout } = await run(process.execPath, [join(root, folder, name), JSON.stringify(options)], { cwd: root });
    return JSON.parse(stdout.trim().split('\n').at(-1) as string);
  };

  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), 'ghl-bundled-'));
    await build({
      configFile: false,
      logLevel: 'error',
      ssr: { noExternal: true, target: 'node' },
      build: {
        ssr: 'tests/bundled-program.ts',
        outDir: join(root, 'program'),
        minify: format === 'es',
        rolldownOptions: { output: { format, entryFileNames: name, codeSplitting: false } },
      },
    });
    expect(await readdir(join(root, 'program'))).toEqual([name]);
    await copyWasm(join(root, 'wasm'));
    await copyWasm(join(root, 'beside'));
    await copyFile(join(root, 'program', name), join(root, 'beside', name));
  });
  afterAll(() => rm(root, { recursive: true }));

  const trained = (threads: number) => ({ threads, notes: [], loss: 1 });

  it('trains with a path relative to the working directory, on one thread and on two', async () => {
    for (const threads of [1, 2]) expect(await program({ threads, wasmPaths: 'wasm/' })).toEqual(trained(threads));
    expect(await program({ threads: 1, wasmPaths: `${join(root, 'wasm')}/` })).toEqual(trained(1));
  });

  it('trains with a file: URL', async () => {
    const wasmPaths = pathToFileURL(join(root, 'wasm/')).href;
    for (const threads of [1, 2]) expect(await program({ threads, wasmPaths })).toEqual(trained(threads));
  });

  it('trains with a URL or a path for each file', async () => {
    const at = (file: string) => join(root, 'wasm', file);
    const wasmPaths = {
      'tfjs-backend-wasm-threaded-simd.wasm': pathToFileURL(at('tfjs-backend-wasm-threaded-simd.wasm')).href,
      'relaxed-6x16.wasm': at('relaxed-6x16.wasm'),
      'relaxed-6x8.wasm': pathToFileURL(at('relaxed-6x8.wasm')).href,
      'plain-6x8.wasm': at('plain-6x8.wasm'),
    };
    expect(await program({ threads: 2, wasmPaths })).toEqual(trained(2));
  });

  it('trains without options if the files are next to it', async () => {
    for (const threads of [1, 2]) expect(await program({ threads }, 'beside')).toEqual(trained(threads));
  });

  it('throws an error with the missing file, its folder and a remedy', async () => {
    const missing = await program({ threads: 1 });
    expect(missing.code).toBe('WASM_FAILED');
    expect(missing.message).toContain('tfjs-backend-wasm-simd.wasm');
    expect(missing.message).toContain(pathToFileURL(join(root, 'program')).href);
    for (const word of ['copy', '@ghl/backend-wasm', '@tensorflow/tfjs-backend-wasm', 'wasmPaths']) {
      expect(missing.help).toContain(word);
    }
    expect((await program({ wasmPaths: 'nowhere/' })).message).toContain('nowhere/tfjs-backend-wasm');
    await writeFile(join(root, 'page.html'), '<!doctype html>');
    const wasmPaths = { 'tfjs-backend-wasm-simd.wasm': 'page.html' };
    expect((await program({ threads: 1, wasmPaths })).message).toContain('page.html (not a WebAssembly file)');
  });
});
