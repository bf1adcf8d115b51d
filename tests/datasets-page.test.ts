/** A page that imports `@ghl/datasets` contains no module of Node. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { builtinModules } from 'node:module';
import { join } from 'node:path';
import { build, type Rollup } from 'vite';
import { afterAll, beforeAll, expect, it } from 'vitest';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join('tests', '.datasets-page-')); // within reach of node_modules
});
afterAll(() => rm(folder, { recursive: true }));

const builtin = new RegExp(`(^|:)(node:.*|${builtinModules.join('|')})$`);
const nodesOwn = /\/node_modules\/(tar|env-paths|minipass|minizlib|yallist|chownr)\//;

/** The modules in the bundle of a page that uses all exports of a package: all modules, and the ones for Node. */
async function bundled(name: string): Promise<{ all: string[]; forNode: string[] }> {
  await writeFile(join(folder, 'page.js'), `import * as all from '${name}';\nwindow.all = all;\n`);
  await writeFile(join(folder, 'index.html'), '<script type="module" src="page.js"></script>');
  const { output } = (await build({
    root: folder,
    configFile: false,
    logLevel: 'silent',
    build: { write: false },
  })) as Rollup.RollupOutput;
  const all = output.flatMap((each) => (each.type === 'chunk' ? Object.keys(each.modules) : []));
  return { all, forNode: all.filter((id) => builtin.test(id) || nodesOwn.test(id)) };
}

it('bundles neither tar nor a module of Node with @ghl/datasets, also in chunks that load later', async () => {
  const { all, forNode } = await bundled('@ghl/datasets');
  expect(all.some((id) => id.includes('datasets/dist/sets/glyphs.js'))).toBe(true);
  expect(forNode).toEqual([]);
});

it('bundles both with @ghl/datasets/node', async () => {
  const { forNode } = await bundled('@ghl/datasets/node');
  expect(forNode).toContainEqual(expect.stringContaining('/tar/'));
  expect(forNode).toContainEqual(expect.stringContaining('node:fs'));
});
