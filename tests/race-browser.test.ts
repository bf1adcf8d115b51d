/** The same race in Chromium and in Node, on the same kernels. */
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { build, type InlineConfig, preview } from 'vite';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startChromium } from '../tools/vitest/chromium.js';
import { race } from './same-race.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ghl-race-'));
  for (const files of ['node_modules/@tensorflow/tfjs-backend-wasm/wasm-out', 'packages/backend-wasm/dist/wasm']) {
    await cp(files, join(folder, 'wasm'), { recursive: true, filter: (path) => !path.endsWith('.js') });
  }
});
afterAll(() => rm(folder, { recursive: true, force: true }));

it('gives the same events and weights in Chromium and in Node, bit for bit', async () => {
  const config: InlineConfig = {
    root: 'tests/race-page',
    configFile: false,
    logLevel: 'error',
    publicDir: folder,
    build: { outDir: resolve('node_modules/.cache/tests/race-page'), emptyOutDir: true, target: 'es2022' },
  };
  await build(config);
  const server = await preview({ ...config, preview: { port: 0, host: '127.0.0.1' } });
  const browser = await startChromium();
  try {
    const page = await browser.newPage();
    await page.goto(server.resolvedUrls?.local[0] as string);
    await page.waitForFunction('globalThis.race !== undefined');
    const inChromium = (await page.evaluate("race({ wasmPaths: '/wasm/' })")) as string;
    const inNode = await race();
    expect(JSON.parse(inChromium)).toEqual(JSON.parse(inNode));
    expect(inChromium).toBe(inNode);
    const { runs } = JSON.parse(inNode) as { runs: { events: { type: string }[] }[] };
    expect(runs.map(({ events }) => events.filter(({ type }) => type === 'epoch').length)).toEqual([2, 2]);
  } finally {
    await browser.close();
    await server.close();
  }
});
