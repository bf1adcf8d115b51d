/**
 * The files that a new part of each kind touches. A copy of the packages gets one new file of each kind, and its
 * indexes are written. Then the bench of the copy, run from source, must list the parts and train with them.
 */
import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { createServer, type ViteDevServer } from 'vite';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
// @ts-expect-error: a script, in plain JavaScript
import * as wasm from '../packages/backend-wasm/assembly/collect.mjs';
// @ts-expect-error: a script, in plain JavaScript
import { type Folder, folders, indexOf } from '../tools/collect.mjs';

const HEBB = `({ post: y }) => ({ gate: y, reconstruction: y, scope: 'all' })`;

/** The new parts: a file each, and for a rule or a modulator a package. */
const added: Readonly<Record<string, string>> = {
  'packages/models/src/networks/one-layer.ts': `
    import { deepHebbLayers } from '../deep-hebb.js';
    import type { Network } from '../network.js';

    export const network: Network = {
      id: 'one-layer',
      build: (options = {}) => deepHebbLayers('oneLayer', [4, 4, 4], options),
      protocol: { epochs: 1, batch: 8 },
      constants: { temperatures: { conv1: 1 }, step: 1e-2, decay: 0, restStep: 1e-2 },
    };`,
  'packages/datasets/src/sets/stripes.ts': `
    import type { Dataset } from '../dataset.js';
    import { imageSet } from '../image-set.js';

    const CLASSES = ['dark', 'light'];
    const images = { pixels: Array.from({ length: 16 * 768 }, (_, i) => (i < 8 * 768 ? 0 : 255)), labels: [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1] };

    export const set: Dataset = {
      id: 'stripes',
      load: async ({ trainSize, validationSize } = {}) =>
        imageSet(
          { name: 'stripes', classes: CLASSES, shape: [16, 16, 3], train: [images], test: [images] },
          { ...(trainSize && { trainSize }), ...(validationSize && { validationSize }) },
        ),
      classes: CLASSES,
      target: 0.75,
    };`,
  'packages/recipes/src/recipes/oja-sign.ts': `
    import { threeFactor } from '@ghl/core';
    import { sign } from '@ghl/modulator-sign';
    import { oja } from '@ghl/rule-oja';
    import { assignment, type Recipe, type RecipeOptions } from '../recipe.js';

    export function ojaSign(options: RecipeOptions) {
      return assignment('ojaSign', options, () => threeFactor(oja(), sign()));
    }

    export const recipe: Recipe = { name: 'ojaSign', describe: 'Oja with the sign', assign: ojaSign };`,
  'apps/bench/src/commands/greet.ts': `
    import type { Command } from '../options/command.js';

    export const command: Command<object, string> = {
      name: 'greet',
      describe: 'greet the user',
      options: [],
      run: async () => 'Hello',
      text: (greeting) => greeting,
      document: (greeting) => ({ greeting }),
    };`,
  'packages/rule-mirror/package.json': manifest('rule-mirror'),
  'packages/rule-mirror/src/index.ts': `
    import type { LocalRule } from '@ghl/core';
    import { type Plugin, type Stateless, specOf, statelessRule } from '@ghl/core/plugin';

    export function mirror(): LocalRule<Stateless> {
      return statelessRule(specOf('mirror'), ${HEBB});
    }

    export const plugin: Plugin = { kind: 'rule', name: 'mirror', make: mirror, examples: [[]] };`,
  'packages/modulator-novelty/package.json': manifest('modulator-novelty'),
  'packages/modulator-novelty/src/index.ts': `
    import { number, type Plugin, readOptions, specOf, statelessModulator } from '@ghl/core/plugin';
    import * as tf from '@tensorflow/tfjs-core';

    export function novelty(options: { readonly gain?: number } = {}) {
      const { gain } = readOptions('novelty', options, { gain: number(1) });
      return statelessModulator(specOf('novelty', { gain }), ['loss'], (eligibility, { loss }) =>
        tf.mul(eligibility, tf.mul(loss, gain)),
      );
    }

    export const plugin: Plugin = { kind: 'modulator', name: 'novelty', make: novelty, examples: [[]] };`,
  'packages/backend-wasm/assembly/negative.ts': `
    import { BLOCK } from './elementwise';
    import { ceilDiv, min } from './pack';
    import { args, parallel } from './threads';
    import { NEGATIVE } from '../dist/wasm/tasks';

    @unmanaged
    class Negative {
      size: i32;
      x: usize;
      y: usize;
    }

    export function negative(): u32 {
      parallel(NEGATIVE, ceilDiv(args<Negative>().size, BLOCK));
      return 0;
    }

    export function negativeTask(task: i32): void {
      const p = args<Negative>();
      for (let i = task * BLOCK; i < min((task + 1) * BLOCK, p.size); i++) {
        store<f32>(p.y + <usize>i * 4, -load<f32>(p.x + <usize>i * 4));
      }
    }`,
  'packages/backend-wasm/src/kernels/negative.ts': `
    import type { KernelConfig } from '@tensorflow/tfjs-core';

    export const kernels: KernelConfig[] = [];`,
};

/** The one list that names every rule and modulator: an import and an entry for each. */
const LIST = 'packages/recipes/src/parts.ts';

/** The folders that the parts need, without those that are linked. */
const copied = ['core', 'learner', 'models', 'datasets', 'recipes', 'race', 'backend-wasm'];

function manifest(name: string): string {
  const exports = { '.': { '@ghl/source': './src/index.ts' } };
  return JSON.stringify({ name: `@ghl/${name}`, type: 'module', exports });
}

const generated = (folders as Folder[]).map(({ path }) => `${path}/index.ts`);

let root: string;
let bench: ViteDevServer;
let before: ReadonlyMap<string, string>;

/** The text of every source file of the copy. */
async function sources(): Promise<Map<string, string>> {
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  const files = entries
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => join(parentPath, name))
    .filter((path) => !path.includes('node_modules'));
  return new Map(
    await Promise.all(files.map(async (path) => [path.slice(root.length + 1), await readFile(path, 'utf8')] as const)),
  );
}

async function write(path: string, text: string): Promise<void> {
  await mkdir(dirname(join(root, path)), { recursive: true });
  await writeFile(join(root, path), text);
}

async function collect(): Promise<void> {
  for (const folder of folders as Folder[]) await write(`${folder.path}/index.ts`, indexOf(folder, root));
}

beforeAll(async () => {
  root = await mkdtemp(resolve('tests/.adding-a-part-')); // where node_modules can be found
  const names = await readdir('packages');
  const plugins = names.filter((name) => /^(rule|modulator)-/.test(name));
  for (const path of [...[...copied, ...plugins].map((name) => `packages/${name}`), 'apps/bench']) {
    await cp(path, join(root, path), {
      recursive: true,
      filter: (source) => !/\/(dist|node_modules|python|tsconfig\.json)$|\.test(-d)?\.ts$|\.md$/.test(source),
    });
  }
  before = await sources();
  for (const [path, text] of Object.entries(added)) await write(path, text.replace(/^ {4}/gm, ''));
  const list = await readFile(join(root, LIST), 'utf8');
  await write(
    LIST,
    list
      .replace(/^import \{ plugin as /m, "import { plugin as novelty } from '@ghl/modulator-novelty';\n$&")
      .replace(/^import \{ plugin as /m, "import { plugin as mirror } from '@ghl/rule-mirror';\n$&")
      .replace(/^\];/m, '  novelty,\n  mirror,\n];'),
  );
  await collect();

  await mkdir(join(root, 'node_modules/@ghl'), { recursive: true });
  for (const name of [...copied, ...plugins, 'rule-mirror', 'modulator-novelty']) {
    await symlink(join(root, 'packages', name), join(root, 'node_modules/@ghl', name), 'dir');
  }
  bench = await createServer({
    root,
    configFile: false,
    logLevel: 'error',
    cacheDir: join(root, '.vite'),
    server: { middlewareMode: true, watch: null, ws: false },
    optimizeDeps: { noDiscovery: true },
    ssr: { resolve: { conditions: ['@ghl/source', 'node', 'import', 'module', 'default'] } },
  });
});
afterAll(async () => {
  await bench?.close();
  await rm(root, { recursive: true, force: true });
});

const load = (path: string) => bench.ssrLoadModule(join(root, path));

it('touches its own file, generated indexes, and for a rule or a modulator the list of parts', async () => {
  const after = await sources();
  const changed = [...after].filter(([path, text]) => before.get(path) !== text).map(([path]) => path);
  expect(changed.sort()).toEqual([...Object.keys(added), ...generated, LIST].sort());
});

it('appears in `bench list`', async () => {
  const { command } = await load('apps/bench/src/commands/list.ts');
  expect(await command.run({})).toMatchObject({
    networks: expect.arrayContaining(['deephebb', 'one-layer']),
    recipes: expect.arrayContaining(['ghl', 'ojaSign']),
    rules: expect.arrayContaining(['swta', 'mirror']),
    modulators: expect.arrayContaining(['sign', 'novelty']),
    datasets: expect.arrayContaining(['glyphs', 'stripes']),
  });
});

it('adds a command to the command line', async () => {
  const { parseCommandLine } = await load('apps/bench/src/command-line.ts');
  const { command, options } = parseCommandLine(['greet']);
  expect(await command.run(options)).toBe('Hello');
  expect(parseCommandLine(['--help']).help).toContain('greet the user');
});

describe('a race', () => {
  it.each([
    ['recipe', { name: 'ojaSign' }],
    [
      'rule and modulator',
      {
        name: 'mirror+novelty',
        custom: { rule: 'mirror', ruleOptions: {}, modulator: 'novelty', modulatorOptions: { gain: 2 }, raw: false },
      },
    ],
  ])('trains the network on the dataset with the %s', async (_, recipe) => {
    const race = await load('packages/race/src/index.ts');
    const { loadData, targetOf } = await load('apps/bench/src/files/data.ts');
    await import('@tensorflow/tfjs-backend-cpu');
    const data = await loadData({ name: 'stripes' });
    expect(targetOf('stripes')).toBe(0.75);
    const { protocol } = race.networkOf('one-layer');
    const plan = {
      network: 'one-layer',
      dataset: { name: data.name, trainSize: data.train.size },
      recipes: [recipe],
      seeds: 1,
      ...protocol,
    };
    const [run] = race.plannedRuns(plan);
    const { model, phases } = race.buildRun(plan, run, data);
    const record = new race.RunRecord(new race.MemoryStorage());
    const clock = { now: () => 0, yieldToEventLoop: async () => {} };
    await race.train({ model, phases, data, seed: 0, record, clock, backend: 'cpu' });
    expect(await record.readResult()).toMatchObject({ epochs: 1 });
  });
});

it('compiles a WebAssembly kernel into the module, and registers it', async () => {
  const folder = join(root, 'packages/backend-wasm');
  const { kernels, tasks } = await wasm.collectAssembly(join(folder, 'assembly'));
  expect(wasm.kernelNames(kernels)).toContain("| 'negative'");
  expect(wasm.kernelIndex(await wasm.collectRegistered(join(folder, 'src/kernels')))).toContain('...negative,');
  await write('packages/backend-wasm/dist/wasm/tasks.ts', wasm.taskTable(tasks, '../../assembly'));
  await write('packages/backend-wasm/dist/wasm/kernels.ts', wasm.kernelExports(kernels, '../../assembly'));
  await cp('packages/backend-wasm/dist/wasm/tile.ts', join(folder, 'dist/wasm/tile.ts'));
  const asc = createRequire(join(resolve('packages/backend-wasm'), 'package.json')).resolve(
    'assemblyscript/bin/asc.js',
  );
  const options = [
    ...['--baseDir', folder, '--textFile', 'dist/wasm/module.wat', '--runtime', 'stub'],
    ...['--enable', 'simd,threads,relaxed-simd'],
    ...['--importMemory', '--sharedMemory', '--initialMemory', '1', '--maximumMemory', '65536'],
  ];
  await promisify(execFile)(process.execPath, [asc, 'assembly/index.ts', ...options]);
  expect(await readFile(join(folder, 'dist/wasm/module.wat'), 'utf8')).toContain('(export "negative" ');
});
