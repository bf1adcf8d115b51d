/**
 * The built packages in every Node that we support and in a browser, on a GPU in software where it takes one. What this machine cannot have, for want of a registry
 * or on another system, is skipped and named. `npm run test:matrix` runs it, `npm test` does not.
 */
import { execFile } from 'node:child_process';
import { cp, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { type Browser, chromium } from 'playwright-core';
import ts from 'typescript';
import { build, preview } from 'vite';
import { afterAll, beforeAll, describe, expect, it, type TestContext, vi } from 'vitest';
import { unpackedChromium } from '../../tools/vitest/chromium.js';
import { nodeBinary, nodeVersions } from './node-binary.js';
import { record } from './record.js';
import type { Report } from './smoke.js';

/** What `activate()` is asked for, one after the other in one process. */
const requests = [
  {},
  { threads: 1 },
  { threads: 4 },
  ...['relaxed-6x16', 'relaxed-6x8', 'plain-6x8'].map((variant) => ({ variant })),
];

const run = promisify(execFile);
const cache = resolve('node_modules/.cache/matrix');
let reference: readonly number[];

beforeAll(async () => {
  await mkdir(cache, { recursive: true });
  const compilerOptions = { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext };
  await writeFile(join(cache, 'package.json'), JSON.stringify({ type: 'module' }));
  for (const name of ['smoke', 'node']) {
    const source = await readFile(`tests/matrix/${name}.ts`, 'utf8');
    await writeFile(join(cache, `${name}.js`), ts.transpileModule(source, { compilerOptions }).outputText);
  }
  reference = (await inNode(process.execPath))[0]!.losses;
});

/** Runs all requests in a process, which must print nothing else and end by itself. */
async function inNode(binary: string, backend = '@ghl/backend-wasm', asked: object[] = requests): Promise<Report[]> {
  const env = { ...process.env, NODE_OPTIONS: '' };
  const parameters = [join(cache, 'node.js'), backend, JSON.stringify(asked)];
  const { stdout, stderr } = await run(binary, parameters, { env, timeout: 240_000 });
  expect(stderr).toBe('');
  return JSON.parse(stdout) as Report[];
}

async function check(
  { annotate }: Pick<TestContext, 'annotate'>,
  { got, losses, again, failed }: Report,
  tolerance = 1e-4,
): Promise<void> {
  const { numerics, device, threads, notes = [] } = got;
  await annotate([numerics?.variant ?? device, `threads: ${threads ?? 1}`, ...notes].join(', '));
  expect(failed).toEqual([]);
  expect(losses.at(-1)).toBeLessThan(losses[0]!);
  expect(again).toEqual(losses);
  expect(losses).toHaveLength(reference.length);
  for (const [step, loss] of losses.entries()) expect(Math.abs(loss - reference[step]!)).toBeLessThan(tolerance);
}

describe('Node', () => {
  it.for([...new Set([...nodeVersions, process.versions.node])])(
    '%s trains, and ends by itself',
    async (version, context) => {
      const binary = await nodeBinary(version, cache).catch((error: Error) => context.skip(error.message));
      const reports = await inNode(binary);
      expect(reports[0]!.got.versions).toMatchObject({ node: version });
      for (const [i, request] of requests.entries()) {
        expect(reports[i]!.got).toMatchObject('variant' in request ? { numerics: request } : request);
        await check(context, reports[i]!);
      }
      await record('wasm', `Node ${version}`, reports[0]!);
    },
  );
});

describe('WebGPU in Node', () => {
  it('computes the same, on a GPU in software', async (context) => {
    const folder = await unpackedChromium().catch((error: Error) => context.skip(error.message));
    vi.stubEnv('LD_LIBRARY_PATH', folder);
    vi.stubEnv('VK_ICD_FILENAMES', join(folder, 'vk_swiftshader_icd.json'));
    const [report] = await inNode(process.execPath, '@ghl/backend-webgpu', [{}]);
    vi.unstubAllEnvs();
    await check(context, report!, 1e-3);
    await record('webgpu', `Node ${process.versions.node}`, report!);
  });
});

describe('Chromium', () => {
  let browser: Browser | undefined;
  let missing: string | undefined;
  const page = {
    root: 'tests/matrix/page',
    configFile: false,
    logLevel: 'error',
    build: { outDir: join(cache, 'page'), emptyOutDir: true },
  } as const;

  beforeAll(async () => {
    const folder = await unpackedChromium().catch((error: Error) => {
      missing = error.message;
    });
    if (folder === undefined) return;
    const executablePath = join(folder, 'chromium');
    browser = await chromium
      .launch({ executablePath, args: ['--no-sandbox', '--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader'] })
      .catch((error: Error) => {
        missing = `Chromium does not start here: ${error.message.slice(0, 400)}`;
        return undefined;
      });
    await build(page);
    for (const folder of ['@tensorflow/tfjs-backend-wasm/wasm-out', '@ghl/backend-wasm/dist/wasm']) {
      const from = join('node_modules', folder);
      for (const file of await readdir(from)) {
        if (file.endsWith('.wasm')) await cp(join(from, file), join(page.build.outDir, 'wasm', file));
      }
    }
  });
  afterAll(() => browser?.close());

  const isolation = {
    'Cross-Origin-Opener-Policy': 'same-origin',
    'Cross-Origin-Embedder-Policy': 'require-corp',
  };
  it.for([
    ['with isolation, from a bundle', isolation, `smokeWasm({ threads: 2 })`, 2],
    ['without isolation, from a folder', {}, `smokeWasm({ wasmPaths: '/wasm/' })`, 1],
    ['on WebGPU', {}, `smokeWebgpu()`, undefined],
  ] as const)('trains %s', async ([how, headers, call, threads], context) => {
    if (browser === undefined) return context.skip(missing);
    const server = await preview({ ...page, preview: { port: 0, headers } });
    const tab = await browser.newPage();
    const printed: string[] = [];
    tab.on('console', (message) => printed.push(message.text()));
    tab.on('pageerror', (error) => printed.push(String(error)));
    await tab.goto(server.resolvedUrls?.local[0] as string);
    await tab.waitForFunction('globalThis.smokeWasm !== undefined');
    const report: Report = await tab.evaluate(call);
    expect(report.got.threads).toBe(threads);
    const webgpu = threads === undefined;
    await check(context, report, webgpu ? 1e-3 : 1e-4);
    await record(webgpu ? 'webgpu' : 'wasm', `Chromium ${browser.version()}, ${how}`, report);
    expect(tab.workers()).toEqual([]);
    expect(printed).toEqual([]);
    await tab.close();
    await server.close();
  });
});
