/** A page that imports `@ghl/datasets` brings nothing of Node along. */
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

/**
 * The modules in the bundle of a page that uses all that a package exports: all of them, and those that are for Node.
 */
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

it('neither tar nor a module of Node is in it, nor in a part that is loaded later', async () => {
  const { all, forNode } = await bundled('@ghl/datasets');
  expect(all.some((id) => id.includes('datasets/dist/sets/glyphs.js'))).toBe(true);
  expect(forNode).toEqual([]);
});

it('both are in one that imports @ghl/datasets/node', async () => {
  const { forNode } = await bundled('@ghl/datasets/node');
  expect(forNode).toContainEqual(expect.stringContaining('/tar/'));
  expect(forNode).toContainEqual(expect.stringContaining('node:fs'));
});
