/**
 * Compiles the kernels, once for each kind of machine, to dist/wasm/<variant>.wasm. Before that, it writes the
 * generated files: the micro-kernels, the task table and the lists of kernels.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import asc from 'assemblyscript/asc';
import { collectAssembly, collectRegistered, kernelExports, kernelIndex, kernelNames, taskTable } from './collect.mjs';
import { tiles } from './tile.mjs';

process.chdir(dirname(dirname(fileURLToPath(import.meta.url))));
await mkdir('dist/wasm', { recursive: true });

const { kernels, tasks } = await collectAssembly('assembly');
await writeFile('dist/wasm/tasks.ts', taskTable(tasks, '../../assembly'));
await writeFile('dist/wasm/kernels.ts', kernelExports(kernels, '../../assembly'));
await writeFile('src/kernel-name.ts', kernelNames(kernels));
await writeFile('src/kernels/index.ts', kernelIndex(await collectRegistered('src/kernels')));

for (const [variant, columns, ...features] of [
  ['plain-6x8', 8],
  ['relaxed-6x8', 8, 'relaxed-simd'],
  ['relaxed-6x16', 16, 'relaxed-simd'],
]) {
  await writeFile('dist/wasm/tile.ts', tiles(columns));
  const { error, stderr } = await asc.main([
    'assembly/index.ts',
    ...['--outFile', `dist/wasm/${variant}.wasm`],
    ...['-O3', '--noAssert', '--runtime', 'stub'],
    ...['--enable', ['simd', 'threads', ...features].join(',')],
    // The memory of TensorFlow.js. The module must not place data in it.
    ...['--importMemory', '--sharedMemory', '--initialMemory', '1', '--maximumMemory', '65536'],
  ]);
  if (error) throw new Error(`${variant}: ${stderr}`, { cause: error });
}
