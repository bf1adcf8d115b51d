/** The check of the package graph, on a small workspace with one violation of each kind. */
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';

const packages = ['core', 'rule-oja', 'rule-bcm', 'learner', 'conformance'];
let workspace: string;

async function write(path: string, text: string): Promise<void> {
  await mkdir(dirname(join(workspace, path)), { recursive: true });
  await writeFile(join(workspace, path), text);
}

/** The names of the violated rules. */
function cruise(): Promise<string[]> {
  const args = ['--config', resolve('.dependency-cruiser.mjs'), '--output-type', 'json', 'packages'];
  return new Promise((done, fail) => {
    execFile(resolve('node_modules/.bin/depcruise'), args, { cwd: workspace }, (error, stdout) => {
      if (stdout === '') return fail(error ?? new Error('depcruise printed nothing'));
      const { summary } = JSON.parse(stdout) as { summary: { violations: { rule: { name: string } }[] } };
      done(summary.violations.map((violation) => violation.rule.name));
    });
  });
}

beforeEach(async () => {
  workspace = await mkdtemp(join(tmpdir(), 'ghl-graph-'));
  await mkdir(join(workspace, 'node_modules/@ghl'), { recursive: true });
  for (const name of packages) {
    const exports = { '.': { '@ghl/source': './src/index.ts', default: './dist/index.js' } };
    await write(`packages/${name}/package.json`, JSON.stringify({ name: `@ghl/${name}`, type: 'module', exports }));
    await write(`packages/${name}/src/index.ts`, `export const name = '${name}';\n`);
    await write(`packages/${name}/src/inner.ts`, 'export const inner = 1;\n');
    await symlink(join(workspace, 'packages', name), join(workspace, 'node_modules/@ghl', name));
  }
});

afterEach(() => rm(workspace, { recursive: true }));

it('passes a graph in which packages import only those below', async () => {
  await write(
    'packages/rule-oja/src/oja.ts',
    "export { name } from '@ghl/core';\nexport { inner } from './inner.js';\n",
  );
  await write('packages/rule-oja/src/oja.test.ts', "import '@ghl/conformance';\n");
  await write('packages/learner/src/learner.ts', "import '@ghl/core';\n");
  expect(await cruise()).toEqual([]);
});

it.each([
  [
    'a rule that imports the learner',
    'rule-oja',
    '@ghl/learner',
    '(rule|modulator|backend)-*-knows-only-what-is-below',
  ],
  [
    'a rule that imports a type of the learner',
    'rule-oja',
    'type @ghl/learner',
    '(rule|modulator|backend)-*-knows-only-what-is-below',
  ],
  ['a rule that imports another rule', 'rule-oja', '@ghl/rule-bcm', 'plugin-knows-no-plugin'],
  ['a learner that knows a rule', 'learner', '@ghl/rule-oja', 'learner-knows-only-what-is-below'],
  ['a core that knows a rule', 'core', '@ghl/rule-oja', 'core-knows-only-what-is-below'],
  ['a path into another package', 'learner', '../../core/src/inner.js', 'by-the-front-door'],
  ['a path to the front door', 'learner', '../../core/src/index.js', 'by-its-name'],
  ['a package that is not declared', 'learner', 'chalk', 'resolvable'],
])('fails %s', async (_title, from, to, rule) => {
  const [specifier, kind] = to.split(' ').reverse() as [string, string?];
  await write(
    `packages/${from}/src/bad.ts`,
    `${kind ? 'import type { name }' : 'import * as all'} from '${specifier}';\n`,
  );
  expect(await cruise()).toContain(rule);
});

it('fails a cycle of files', async () => {
  await write('packages/core/src/a.ts', "import './b.js';\n");
  await write('packages/core/src/b.ts', "import './a.js';\n");
  expect(await cruise()).toContain('no-cycle');
});
