/**
 * The built packages in every supported Node, on a software GPU if a backend needs one. The tests skip a Node that this
 * machine lacks, with the reason. `npm run test:matrix` runs them; `npm test` does not.
 */
import { execFile } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import ts from 'typescript';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import { unpackedChromium } from '../../tools/vitest/chromium.js';
import { check } from './check.js';
import { nodeBinary, nodeVersions } from './node-binary.js';
import { record } from './record.js';
import type { Report } from './smoke.js';

/** The options of `activate()`, one after the other in one process. */
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

/** Runs all requests in a process, which must print nothing else and exit. */
async function inNode(binary: string, backend = '@ghl/backend-wasm', calls: object[] = requests): Promise<Report[]> {
  const env = { ...process.env, NODE_OPTIONS: '' };
  const parameters = [join(cache, 'node.js'), backend, JSON.stringify(calls)];
  const { stdout, stderr } = await run(binary, parameters, { env, timeout: 240_000 });
  expect(stderr).toBe('');
  return JSON.parse(stdout) as Report[];
}

describe('Node', () => {
  it.for([...new Set([...nodeVersions, process.versions.node])])('%s trains, and exits', async (version, context) => {
    const binary = await nodeBinary(version, cache).catch((error: Error) => context.skip(error.message));
    const reports = await inNode(binary);
    expect(reports[0]!.got.versions).toMatchObject({ node: version });
    for (const [i, request] of requests.entries()) {
      expect(reports[i]!.got).toMatchObject('variant' in request ? { numerics: request } : request);
      await check(context, reports[i]!, reference);
    }
    await record('wasm', `Node ${version}`, reports[0]!);
  });
});

describe('WebGPU in Node', () => {
  it('computes the same on a software GPU', async (context) => {
    const folder = await unpackedChromium().catch((error: Error) => context.skip(error.message));
    vi.stubEnv('LD_LIBRARY_PATH', folder);
    vi.stubEnv('VK_ICD_FILENAMES', join(folder, 'vk_swiftshader_icd.json'));
    const [report] = await inNode(process.execPath, '@ghl/backend-webgpu', [{}]);
    vi.unstubAllEnvs();
    await check(context, report!, reference, 1e-3);
    await record('webgpu', `Node ${process.versions.node}`, report!);
  });
});
