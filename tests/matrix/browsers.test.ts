/**
 * The built packages in each browser: bundled, under a strict content security policy, cross-origin isolated and not,
 * in a page and in a worker. The tests skip a browser that this machine lacks, with the reason.
 */
import { cp, mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { backend as wasm } from '@ghl/backend-wasm';
import type { ActiveBackend, Support } from '@ghl/core';
import { build, createLogger, type InlineConfig, preview } from 'vite';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { allExamples } from '../../tools/doc-examples/extract.js';
import { type Browser, engines, type Tab } from './browsers.js';
import { check } from './check.js';
import { record } from './record.js';
import { type Report, smoke } from './smoke.js';

const cache = resolve('node_modules/.cache/matrix');
const isolation = { 'Cross-Origin-Opener-Policy': 'same-origin', 'Cross-Origin-Embedder-Policy': 'require-corp' };
const policy = (script = "'self' 'wasm-unsafe-eval'", worker = "'self' blob:") => ({
  'Content-Security-Policy': `default-src 'self'; script-src ${script}; worker-src ${worker}`,
});

/** The examples of the documentation that activate this backend. */
const examples = (await allExamples(resolve('.'))).filter(
  ({ run, code }) => run && code.includes("'@ghl/backend-wasm'"),
);
const built: Record<'page' | 'examples', InlineConfig> = {
  page: bundle('tests/matrix/page', 'page'),
  examples: bundle(join(cache, 'examples'), 'examples-built'),
};
let reference: readonly number[];

/** Builds a bundle for production. A warning is an error. */
function bundle(root: string, outDir: string): InlineConfig {
  const fail = (message: string) => {
    throw new Error(message);
  };
  return {
    root,
    configFile: false,
    logLevel: 'warn',
    customLogger: { ...createLogger('silent'), warn: fail, warnOnce: fail, error: fail },
    build: {
      outDir: join(cache, outDir),
      emptyOutDir: true,
      chunkSizeWarningLimit: 4096,
      rolldownOptions: { checks: { pluginTimings: false } }, // it warns on a slow machine
    },
  };
}

/** Copies `.wasm` files to the place where a built page finds them. */
async function copyWasm(packageFolder: string, to: string): Promise<void> {
  const from = join('node_modules', packageFolder);
  for (const file of await readdir(from)) if (file.endsWith('.wasm')) await cp(join(from, file), join(to, file));
}

beforeAll(async () => {
  reference = (await smoke(wasm)).losses;
  await build(built.page);
  for (const folder of ['@tensorflow/tfjs-backend-wasm/wasm-out', '@ghl/backend-wasm/dist/wasm']) {
    await copyWasm(folder, join(cache, 'page/wasm'));
  }
  const { root } = built.examples as { root: string };
  await rm(root, { recursive: true, force: true });
  await mkdir(root, { recursive: true });
  for (const [i, { code }] of examples.entries()) await writeFile(join(root, `example-${i}.ts`), code);
  const offers = examples.map((_, i) => `() => import('./example-${i}.js')`);
  await cp('tests/matrix/page/printed.ts', join(root, 'printed.ts'));
  await writeFile(
    join(root, 'page.ts'),
    `import './printed.js';\nObject.assign(globalThis, { examples: [${offers.join()}] });`,
  );
  await writeFile(join(root, 'index.html'), '<!doctype html><script type="module" src="page.ts"></script>');
  await build(built.examples);
  // The folder that activate() reads.
  await copyWasm('@tensorflow/tfjs-backend-wasm/wasm-out', join(cache, 'examples-built'));
});

describe.each(Object.entries(engines))('%s', (name, { start, threads: threadCounts, retry = 0 }) => {
  let browser: Browser | undefined;
  let missing = '';

  beforeAll(async () => {
    browser = await start().catch((error: Error) => {
      missing = error.message;
      return undefined;
    });
  });
  afterAll(() => browser?.close());
  const runtime = () => name.replace(/^\w+/, (engine) => `${engine} ${browser!.version}`);

  /** Serves and opens a built page with these headers, and waits for its script. */
  async function inTab(page: keyof typeof built, headers: Record<string, string>, use: (tab: Tab) => Promise<void>) {
    const server = await preview({ ...built[page], preview: { port: 0, headers } });
    const tab = await browser!.open(server.resolvedUrls?.local[0] as string);
    const offer = page === 'page' ? 'inWorker' : 'examples';
    try {
      await expect.poll(() => tab.evaluate(`typeof ${offer}`), { timeout: 20_000 }).not.toBe('undefined');
      await use(tab);
    } finally {
      await tab.close();
      await server.close();
    }
  }

  it.for([
    ['isolated', isolation, {}],
    ['not isolated', {}, { wasmPaths: '/wasm/' }],
  ] as const)(
    'trains and passes conformance, %s, in the page and in a worker',
    { retry },
    async ([how, headers, options], context) => {
      if (browser === undefined) return context.skip(missing);
      await inTab('page', { ...headers, ...policy() }, async (tab) => {
        expect(await tab.evaluate('isolated()')).toBe(how === 'isolated');
        const expected = how === 'isolated' ? threadCounts.isolated : threadCounts.open;
        const request = JSON.stringify({ ...options, threads: 2 });
        const inPage = await tab.evaluate<Report>(`smoke('wasm', ${request})`);
        await expect.poll(() => tab.workers() ?? 0).toBe(0);
        const inWorker = await tab.evaluate<Report>(`inWorker('smoke', 'wasm', ${request})`);
        for (const report of [inPage, inWorker]) {
          await check(context, report, reference);
          expect(report.got.threads).toBe(expected);
          expect(report.got.notes).toHaveLength(2 - expected);
        }
        const { losses, got } = inPage;
        if (got.numerics?.variant === inWorker.got.numerics?.variant) expect(inWorker.losses).toEqual(losses);
        expect(await tab.printed()).toEqual([]);
        await record('wasm', `${runtime()}, ${how}`, inPage);
      });
    },
  );

  it('throws an error that names the forbidden part of a content security policy, and its remedy', {
    retry,
  }, async (context) => {
    if (browser === undefined) return context.skip(missing);
    interface Refusal {
      readonly refused: Readonly<Record<'name' | 'code' | 'help', string>>;
    }
    const activations = ["activation('wasm', { threads: 2 })", "inWorker('activation', 'wasm', { threads: 2 })"];
    await inTab('page', { ...isolation, ...policy("'self'") }, async (tab) => {
      expect(await tab.evaluate<Support>("support('wasm')")).toMatchObject({ supported: false });
      for (const activation of activations) {
        const help = expect.stringContaining("'wasm-unsafe-eval'");
        const refusal = { name: 'UnsupportedError', code: 'WASM_UNSUPPORTED', help };
        expect(await tab.evaluate<Refusal>(activation)).toMatchObject({ refused: refusal });
      }
    });
    if (threadCounts.isolated === 1) return;
    await inTab('page', { ...isolation, ...policy(undefined, "'self'") }, async (tab) => {
      for (const activation of activations) {
        const { got } = await tab.evaluate<{ got: ActiveBackend }>(activation);
        expect(got).toMatchObject({ threads: 1, notes: [expect.stringContaining('worker-src blob:')] });
      }
    });
  });

  it('trains and passes conformance on WebGPU, or reports the reason', { retry, timeout: 600_000 }, async (context) => {
    if (browser === undefined) return context.skip(missing);
    await inTab('page', policy(), async (tab) => {
      const support = await tab.evaluate<Support>("support('webgpu')");
      if (support.supported) {
        // Reading a result takes so long in Firefox that all cases take two minutes.
        const compared = name === 'Firefox' ? 'conv2d' : '';
        const report = await tab.evaluate<Report>(`smoke('webgpu', {}, '${compared}')`);
        await check(context, report, reference, 1e-3);
        await record('webgpu', runtime(), report);
      } else {
        await context.annotate(support.reason);
        const refusal = { name: 'UnsupportedError', code: 'WEBGPU_UNSUPPORTED', help: support.help };
        expect(support.help).not.toBe('');
        for (const activation of ["activation('webgpu')", "inWorker('activation', 'webgpu')"]) {
          expect(await tab.evaluate(activation)).toMatchObject({ refused: refusal });
        }
      }
      expect(await tab.printed()).toEqual([]);
    });
  });

  it.for(examples.map(({ at, code }, i) => [at, code, i] as const))(
    'runs %s',
    { retry },
    async ([, code, i], context) => {
      if (browser === undefined) return context.skip(missing);
      await inTab('examples', { ...isolation, ...policy() }, async (tab) => {
        await tab.evaluate(`examples[${i}]().then(() => true)`);
        expect(await tab.printed()).toEqual([...code.matchAll(/\/\/ => (.*)$/gm)].map(([, text]) => text));
      });
    },
  );
});
