/**
 * `npx @ghl/backend-node-gpu install` in a new project, and native TensorFlow there, in two Nodes. It needs python3
 * with pip and a C++ compiler. Without them, the tests are skipped with the reason. The library stays in the user's
 * cache.
 */
import { execFile } from 'node:child_process';
import { cp, readFile, symlink, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import ts from 'typescript';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type PackedProject, packedProject } from '../packed-project.js';
import { nodeBinary } from './node-binary.js';
import { record } from './record.js';
import type { Report } from './smoke.js';

const versions = ['24.21.0', process.versions.node];
const name = '@ghl/backend-node-gpu';

const run = promisify(execFile);
const cache = resolve('node_modules/.cache/matrix');
let project: PackedProject | undefined;
let missing: string | undefined;
let installed = '';

/** The first line of a command's error. */
const lacks = (program: string, parameters: readonly string[]) =>
  run(program, parameters).then(
    () => undefined,
    (error: Error) => `'${program} ${parameters.join(' ')}' fails: ${error.message.split('\n')[0]}`,
  );

beforeAll(async () => {
  missing =
    process.platform !== 'linux' || process.arch !== 'x64'
      ? `its libraries are for Linux on x64, this is ${process.platform} on ${process.arch}`
      : ((await lacks('python3', ['-m', 'pip', '--version'])) ?? (await lacks('c++', ['--version'])));
  if (missing !== undefined) return;
  project = await packedProject();
  const { folder } = project;
  const quietly = ['--prefer-offline', '--ignore-scripts', '--no-audit', '--no-fund', '--no-save'];
  missing = await run('npm', ['install', ...quietly, '@tensorflow/tfjs-node@4.22.0'], { cwd: folder }).then(
    () => undefined,
    (error: Error) =>
      `npm does not get @tensorflow/tfjs-node: ${error.message.match(/(?<=npm error ).*/g)?.slice(0, 4)}`,
  );
  if (missing !== undefined) return;
  const { stderr } = await run('npx', ['--no-install', name, 'install'], { cwd: folder }).catch((error) => {
    // Without the index of pip, nothing can be installed.
    if (String(error.stderr).includes('DOWNLOAD_FAILED')) missing = error.stderr;
    else throw error;
    return { stderr: '' };
  });
  installed = stderr;

  const compilerOptions = { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext };
  for (const file of ['smoke', 'node']) {
    const source = await readFile(`tests/matrix/${file}.ts`, 'utf8');
    await writeFile(join(folder, `${file}.js`), ts.transpileModule(source, { compilerOptions }).outputText);
  }
  for (const file of ['tests/matrix/node-gpu/native.test.ts', 'tests/every-product.ts', 'tests/same-training.ts']) {
    await cp(file, join(folder, file));
  }
  await writeFile(join(folder, 'vitest.config.js'), 'export default {};');
  await symlink(resolve('node_modules/vitest'), join(folder, 'node_modules/vitest'));
}, 600_000);
afterAll(() => project?.remove());

it('installs', (context) => {
  if (missing !== undefined) return context.skip(missing);
  expect(installed).toMatch(/libtensorflow 2\.18\.1 loads, and computes on the CPU\.\n$/);
});

it.for(versions)(
  'Node %s passes conformance, and trains every product',
  { timeout: 600_000 },
  async (version, context) => {
    if (missing !== undefined) return context.skip(missing);
    const binary = await nodeBinary(version, cache).catch((error: Error) => context.skip(error.message));
    const { folder } = project!;
    // Packages of TensorFlow.js use deprecated functions of Node.
    const options = { cwd: folder, env: { ...process.env, NODE_OPTIONS: '--no-deprecation' }, maxBuffer: 2 ** 26 };

    // It exits, and prints nothing but its report.
    const { stdout, stderr } = await run(binary, ['node.js', name, '[{}]'], options);
    expect(stderr).toBe('');
    const [report] = JSON.parse(stdout) as [Report];
    const { device, driver, threads, notes = [] } = report.got;
    await context.annotate([device, driver, `threads: ${threads}`, ...notes].join(', '));
    expect(report.failed).toEqual([]);
    expect(report.losses.at(-1)).toBeLessThan(report.losses[0]!);
    expect(report.again).toEqual(report.losses);
    await record('node-gpu', `Node ${version}`, report);

    const vitest = resolve('node_modules/vitest/vitest.mjs');
    const parameters = ['run', '--root', folder, '--reporter=json', '--testTimeout=120000', '--hookTimeout=120000'];
    const ended = await run(binary, [vitest, ...parameters], options).catch(
      (error: { stdout: string; stderr: string }) => error,
    );
    expect(ended.stdout, ended.stderr).toMatch(/^{/);
    const results = JSON.parse(ended.stdout) as {
      numPassedTests: number;
      testResults: {
        message: string;
        assertionResults: { status: string; fullName: string; failureMessages: string[] }[];
      }[];
    };
    const bad = results.testResults.flatMap(({ message, assertionResults }) => [
      ...(message ? [message] : []),
      ...assertionResults
        .filter(({ status }) => status !== 'passed')
        .map((each) => `${each.fullName}: ${each.failureMessages}`),
    ]);
    expect(bad).toEqual([]);
    expect(results.numPassedTests).toBeGreaterThan(1000);
  },
);
