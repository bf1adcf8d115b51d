import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  collectAssembly,
  collectRegistered,
  kernelExports,
  kernelIndex,
  kernelNames,
  taskTable,
  // @ts-expect-error: a script, in plain JavaScript
} from '../assembly/collect.mjs';

const assembly = fileURLToPath(new URL('../assembly/', import.meta.url));
const src = fileURLToPath(new URL('./', import.meta.url));

describe('the generated files', () => {
  it('contain every exported task exactly once in the task table', async () => {
    const files = (await readdir(assembly)).filter((name) => name.endsWith('.ts'));
    const sources = await Promise.all(files.map((name) => readFile(join(assembly, name), 'utf8')));
    const exported = sources.flatMap((source) =>
      [...source.matchAll(/export function (\w+Task)\b/g)].map(([, n]) => n),
    );
    const table: string = taskTable((await collectAssembly(assembly)).tasks, '.');
    const called = [...table.matchAll(/return (\w+Task)\(/g)].map(([, name]) => name);
    const numbers = [...table.matchAll(/export const \w+: i32 = (\d+);/g)].map(([, number]) => Number(number));
    expect(exported.length).toBeGreaterThan(40);
    expect(called.sort()).toEqual(exported.sort());
    expect(new Set(called).size).toBe(called.length);
    expect(numbers).toEqual(called.map((_, i) => i));
  });

  it('are up to date: if not, run the build of backend-wasm and commit its output', async () => {
    const { kernels } = await collectAssembly(assembly);
    expect(await readFile(join(src, 'kernel-name.ts'), 'utf8')).toBe(kernelNames(kernels));
    const index = kernelIndex(await collectRegistered(join(src, 'kernels')));
    expect(await readFile(join(src, 'kernels/index.ts'), 'utf8')).toBe(index);
  });
});

describe('a new kernel', () => {
  let folder: string;
  const write = (file: string, text: string) => writeFile(join(folder, file), text);
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'ghl-collect-'));
    await mkdir(join(folder, 'kernels'));
    await write('square.ts', 'export function square(): u32 {\n}\nexport function squareTask(task: i32): void {\n}\n');
  });
  afterEach(() => rm(folder, { recursive: true }));

  it('is collected from its assembly file', async () => {
    await write(
      'deep-cube.ts',
      'export function cube(): u32 {\n}\nexport function deepCubeTask(at: i32, thread: i32): void {\n}\n',
    );
    const { kernels, tasks } = await collectAssembly(folder);
    expect(kernelExports(kernels, '.')).toBe(
      "export { cube } from './deep-cube';\nexport { square } from './square';\n",
    );
    expect(kernelNames(kernels)).toContain("\n  | 'cube'\n  | 'square';\n");
    const table: string = taskTable(tasks, '.');
    expect(table).toContain("import { deepCubeTask } from './deep-cube';");
    expect(table).toContain('export const DEEP_CUBE: i32 = 0;\nexport const SQUARE: i32 = 1;\n');
    expect(table).toContain('    case DEEP_CUBE:\n      return deepCubeTask(task, thread);\n');
    expect(table).toContain('    case SQUARE:\n      return squareTask(task);\n');
  });

  it('is collected from its file in src/kernels', async () => {
    await write('kernels/deep-cube.ts', 'export const kernels = [cube];\n');
    await write('kernels/heap.ts', 'export function address() {}\n');
    await write('kernels/deep-cube.test.ts', 'export const kernels = [];\n');
    const index: string = kernelIndex(await collectRegistered(join(folder, 'kernels')));
    expect(index).toContain("import { kernels as deepCube } from './deep-cube.js';\n\n");
    expect(index).toContain('export const kernels = [\n  ...deepCube,\n];\n');
  });

  it('cannot have the name of another task or kernel', async () => {
    await write('other.ts', 'export function squareTask(task: i32): void {\n}\n');
    await expect(collectAssembly(folder)).rejects.toThrow('Two files export squareTask.');
    await write('other.ts', 'export function square(): u32 {\n}\n');
    await expect(collectAssembly(folder)).rejects.toThrow('Two files export square.');
  });

  it('cannot have a task with other parameters', async () => {
    await write('other.ts', 'export function cubeTask(task: f32): void {\n}\n');
    await expect(collectAssembly(folder)).rejects.toThrow('other.ts: cubeTask takes (task: f32)');
  });
});
