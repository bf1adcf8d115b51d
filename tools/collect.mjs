/**
 * Writes the index of each folder whose files are parts of one kind: a network, a dataset, a recipe, a command of the
 * bench. To add a part, add a file. `npm run collect` writes the indexes; collect.test.ts fails while one is stale.
 */
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { argv } from 'node:process';
import { fileURLToPath } from 'node:url';

/**
 * A folder of parts. Each of its files exports a descriptor of type `type` under the name `descriptor`. The index
 * exports all as `record`, by the name of the file or by `key` of it, and the other exports of the files. The files in
 * `first` lead, in that order; the others follow by name.
 *
 * @typedef {object} Folder
 * @property {string} path
 * @property {string} descriptor
 * @property {string} record
 * @property {string} of
 * @property {readonly string[]} [first]
 * @property {readonly [name: string, from: string]} type
 * @property {(file: string) => string} [key]
 */

const camelCase = (/** @type {string} */ file) => file.replace(/-(\w)/g, (_, letter) => letter.toUpperCase());

/** @type {readonly Folder[]} */
export const folders = [
  {
    path: 'packages/models/src/networks',
    descriptor: 'network',
    record: 'networks',
    of: 'The networks',
    type: ['Network', '../network.js'],
  },
  {
    path: 'packages/recipes/src/recipes',
    descriptor: 'recipe',
    record: 'recipes',
    of: 'The recipes',
    type: ['Recipe', '../recipe.js'],
    first: ['ghl', 'backprop', 'sign-only', 'sign-matched', 'local-only'],
    key: camelCase,
  },
  {
    path: 'packages/datasets/src/sets',
    descriptor: 'set',
    record: 'datasets',
    of: 'The datasets',
    type: ['Dataset', '../dataset.js'],
    first: ['glyphs', 'cifar10', 'cifar100', 'mnist', 'fashion-mnist'],
  },
  {
    path: 'apps/bench/src/commands',
    descriptor: 'command',
    record: 'commands',
    of: 'The commands',
    type: ['Command', '../options/command.js'],
  },
];

/**
 * The text that a folder's `index.ts` must have.
 *
 * @param {Folder} folder
 */
export function indexOf({ path, descriptor, record, of, type, first = [], key = (file) => file }, root = '.') {
  const rank = (/** @type {string} */ file) => (first.includes(file) ? first.indexOf(file) : first.length);
  const files = readdirSync(join(root, path))
    .filter((name) => /^[\w-]+\.ts$/.test(name) && name !== 'index.ts')
    .map((name) => name.slice(0, -3))
    .sort()
    .sort((a, b) => rank(a) - rank(b));
  const imports = files.map((file) => `import { ${descriptor} as ${camelCase(file)} } from './${file}.js';`);
  const entries = files.map((file) => `'${key(file)}': ${camelCase(file)},`);
  const exports = files.map(
    (file) => `export { ${exported(join(root, path, `${file}.ts`), descriptor)} } from './${file}.js';`,
  );
  return formatted(
    join(path, 'index.ts'),
    [
      `/** ${of} of this package. Written by \`npm run collect\` from the files of this folder: do not edit. */`,
      `import type { ${type[0]} } from '${type[1]}';`,
      ...imports,
      ...exports.filter((line) => !line.includes('{  }')),
      '',
      `/** ${of} by name. */`,
      `export const ${record}: Readonly<Record<${files.map((file) => `'${key(file)}'`).join(' | ')}, ${type[0]}>> = {`,
      ...entries,
      '};',
      '',
    ].join('\n'),
  );
}

/** Everything that a file exports besides its descriptor. */
function exported(/** @type {string} */ file, /** @type {string} */ descriptor) {
  const text = readFileSync(file, 'utf8');
  return [...text.matchAll(/^export (?:async )?(function|const|class|interface|type) (\w+)/gm)]
    .filter(([, , name]) => name !== descriptor)
    .map(([, kind, name]) => (kind === 'interface' || kind === 'type' ? `type ${name}` : name))
    .join(', ');
}

function formatted(/** @type {string} */ path, /** @type {string} */ text) {
  const biome = createRequire(import.meta.url).resolve('@biomejs/biome/bin/biome');
  const cwd = fileURLToPath(new URL('..', import.meta.url));
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [biome, 'check', '--write', `--stdin-file-path=${path}`],
    { cwd, input: text, encoding: 'utf8' },
  );
  if (status !== 0) throw new Error(`${path} cannot be formatted: ${stderr}`);
  return stdout;
}

if (argv[1] === fileURLToPath(import.meta.url)) {
  for (const folder of folders) writeFileSync(join(folder.path, 'index.ts'), indexOf(folder));
}
