/** WebGPU in a real Chromium, on a software GPU: the conformance and losses of Node, and the guide's page. */
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { backend as wasm } from '@ghl/backend-wasm';
import type { Browser, Page } from 'puppeteer-core';
import { build, defaultClientConditions, type InlineConfig, preview } from 'vite';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startChromium } from '../tools/vitest/chromium.js';
import { train } from './same-training.js';
import type { BrowserReport } from './webgpu-page/page.js';

let browser: Browser;

beforeAll(async () => {
  browser = await startChromium();
});
afterAll(() => browser?.close());

/** Bundles, serves and opens a page, which must print nothing. */
async function withPage(root: string, use: (page: Page, address: string) => Promise<void>): Promise<void> {
  const config: InlineConfig = {
    root,
    configFile: false,
    logLevel: 'error',
    resolve: { conditions: ['@ghl/source', ...defaultClientConditions] },
    build: { outDir: resolve('node_modules/.cache', root), emptyOutDir: true, target: 'es2022' },
  };
  await build(config);
  const server = await preview({ ...config, preview: { port: 0, host: '127.0.0.1', allowedHosts: ['insecure.test'] } });
  const page = await browser.newPage();
  const messages: string[] = [];
  page.on('console', (message) => messages.push(message.text()));
  page.on('pageerror', (error) => messages.push(String(error)));
  const address = server.resolvedUrls?.local[0] as string;
  try {
    await page.goto(address);
    await use(page, address);
    expect(messages).toEqual([]);
  } finally {
    await page.close();
    await server.close();
  }
}

it('passes conformance, and gives the losses of WebAssembly, in Chromium', async () => {
  await withPage('tests/webgpu-page', async (page) => {
    await page.waitForFunction('globalThis.report !== undefined');
    const { got, failed, losses } = (await page.evaluate('report()')) as BrowserReport;
    expect(got).toMatchObject({ name: 'webgpu', limits: { maxBufferSize: expect.any(Number) } });
    expect(got.device).toMatch(/swiftshader/i);
    expect(failed).toEqual([]);
    await wasm.activate();
    const expected = await train();
    await wasm.deactivate();
    expect(losses).toHaveLength(expected.length);
    for (const [step, loss] of losses.entries()) expect(Math.abs(loss / expected[step]! - 1)).toBeLessThan(1e-3);
  });
});

it('reports a reason and a remedy in a page that is not a secure context', async () => {
  await withPage('tests/webgpu-page', async (page, address) => {
    await page.goto(address.replace('127.0.0.1', 'insecure.test'));
    await page.waitForFunction('globalThis.isSupported !== undefined');
    expect(await page.evaluate('isSupported()')).toMatchObject({
      supported: false,
      reason: expect.stringContaining('http://insecure.test'),
      help: expect.stringContaining('https'),
    });
  });
});

it("trains in the guide's page of ten lines, which the README shows", async () => {
  const folder = 'docs/guide/webgpu-page';
  const html = await readFile(join(folder, 'index.html'), 'utf8');
  expect(await readFile('packages/backend-webgpu/README.md', 'utf8')).toContain(html);
  const lines = html.split('\n').filter((line) => line.startsWith('  ') && !line.startsWith('  import'));
  expect(lines.length).toBeLessThanOrEqual(10);
  await withPage(folder, async (page) => {
    await page.waitForFunction("document.querySelector('pre').textContent.split('\\n').length > 10");
    const losses = (await page.$eval('pre', ({ textContent }) => textContent))
      .trim()
      .split('\n')
      .map((line) => Number(line.split(' ')[1]));
    expect(losses).toHaveLength(10);
    expect(losses.at(-1)).toBeLessThan(losses[0]!);
  });
});
