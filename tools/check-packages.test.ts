import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { checkManifest, checkPackages, sections, surroundingsOf } from './check-packages.js';

const { homepage } = JSON.parse(await readFile('package.json', 'utf8')) as { homepage: string };

it('finds every package in the common shape', async () => {
  expect(await checkPackages(resolve('.'))).toEqual([]);
});

describe('checkManifest with a missing field', async () => {
  const packages = await surroundingsOf(resolve('.'));

  /** The keys of all values of a package.json that users need. A list counts as one value. */
  const places = (json: object, above: string[] = []): string[][] =>
    Object.entries(json).flatMap(([key, value]) => {
      const place = [...above, key];
      // Fields that only the repository uses, and optional fields.
      const free = /^(devDependencies|scripts,(?!build$)|exports,(?!\.(,|$))|(dependencies|peerDependencies(Meta)?),)/;
      if (free.test(place.join())) return [];
      return [place, ...(typeof value === 'object' && !Array.isArray(value) ? places(value, place) : [])];
    });

  it.each([...packages.keys()])('finds each missing field of %s', (path) => {
    const { manifest, ...surroundings } = packages.get(path)!;
    const all = places(manifest);
    expect(all.length).toBeGreaterThan(20);
    const passed = all.filter((place) => {
      const without = structuredClone(manifest);
      const parent = place.slice(0, -1).reduce<Record<string, never>>((json, key) => json[key]!, without as never);
      delete parent[place.at(-1)!];
      return checkManifest(path, without, surroundings).length === 0;
    });
    expect(passed).toEqual([]);
  });
});

describe('checkPackages in a workspace of one rule', () => {
  let root: string;
  const folder = 'packages/rule-good';
  const readme = ['# @ghl/rule-good', 'The rule.', '```\nΔw = y x\n```', ...sections.map((title) => `## ${title}`)];

  const write = async (path: string, text: string): Promise<void> => {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), text);
  };
  /** Sets the value at `keys` in a JSON file. */
  const edit = async (path: string, keys: string[], value: unknown): Promise<void> => {
    const json = JSON.parse(await readFile(join(root, path), 'utf8'));
    let parent = json;
    for (const key of keys.slice(0, -1)) parent = parent[key];
    parent[keys.at(-1) as string] = value;
    await write(path, JSON.stringify(json));
  };

  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'ghl-packages-'));
    await cp('package.json', join(root, 'package.json'));
    await cp('LICENSE', join(root, 'LICENSE'));
    await cp('LICENSE', join(root, folder, 'LICENSE'));
    await cp('packages/rule-oja/package.json', join(root, folder, 'package.json'));
    await edit(`${folder}/package.json`, ['name'], '@ghl/rule-good');
    await edit(`${folder}/package.json`, ['homepage'], `${homepage}/tree/main/${folder}#readme`);
    await edit(`${folder}/package.json`, ['repository', 'directory'], folder);
    await write(
      `${folder}/src/index.ts`,
      "import type { LocalRule } from '@ghl/core';\nexport type Rule = LocalRule;\n",
    );
    await write(`${folder}/src/good.test.ts`, "import '@ghl/conformance';\n");
    await write(`${folder}/README.md`, `${readme.join('\n\n')}\n\nnpm install @ghl/rule-good\n`);
    await write(
      `${folder}/tsconfig.json`,
      '{ "extends": "../../tsconfig.base.json", "references": [{ "path": "../core" }] }',
    );
    await write('tsconfig.json', `{ "files": [], "references": [{ "path": "${folder}" }] }`);
  });

  afterEach(() => rm(root, { recursive: true }));

  it('finds no fault', async () => {
    expect(await checkPackages(root)).toEqual([]);
  });

  // The change of package.json (undefined: removed), and the expected message.
  it.each<[title: string, path: string[], value: unknown, message: RegExp]>([
    ['another licence', ['license'], 'ISC', /"license" is "ISC", not "MIT"/],
    ['another name', ['name'], 'rule-good', /"name"/],
    ['CommonJS', ['type'], undefined, /"type" is undefined/],
    ['no source condition', ['exports', '.', '@ghl/source'], undefined, /"exports"/],
    ['side effects', ['sideEffects'], true, /"sideEffects"/],
    ['other files', ['files'], ['dist'], /"files"/],
    ['another engine', ['engines', 'node'], '>=18', /"engines"/],
    ['no description', ['description'], undefined, /"description"/],
    ['one exact version', ['dependencies', 'ms'], '2.0.0', /dependencies: ms is 2\.0\.0, not a caret range/],
    ['another range', ['dependencies', 'ms'], '>=2.0.0', /dependencies: ms is >=2\.0\.0, not a caret range/],
    ['a tag', ['devDependencies', 'ms'], 'latest', /devDependencies: ms is latest, neither/],
    ['a range of a peer', ['peerDependencies', 'ms'], '^2.0.0', /peerDependencies: ms is \^2\.0\.0, not one exact/],
    ['a range of tfjs', ['peerDependencies', '@tensorflow/tfjs-core'], '^4.22.0', /\^4\.22\.0, not 4\.22\.0/],
    ['another repository', ['repository', 'directory'], 'packages/rule-oja', /"repository"/],
    ['another page', ['homepage'], 'https://example.org', /"homepage"/],
    ['a private package', ['private'], true, /"private"/],
    ['restricted access', ['publishConfig', 'access'], 'restricted', /"publishConfig"/],
    ['another tfjs', ['peerDependencies', '@tensorflow/tfjs-core'], '4.21.0', /4\.21\.0, not 4\.22\.0/],
    ['tfjs as a dependency', ['dependencies', '@tensorflow/tfjs-core'], '4.22.0', /must be a peer/],
    ['the core as a peer', ['peerDependencies', '@ghl/core'], '^0.1.0', /must be a dependency/],
    [
      'an import that is not declared',
      ['dependencies', '@ghl/core'],
      undefined,
      /depends on none, but its source imports/,
    ],
    ['another version of the core', ['dependencies', '@ghl/core'], '^0.0.9', /@ghl\/core is \^0\.0\.9/],
    ['one exact core', ['dependencies', '@ghl/core'], '0.1.0', /@ghl\/core is 0\.1\.0, not \^0\.1\.0/],
    ['a bin that is not there', ['bin'], { good: 'bin/good.mjs' }, /"bin" is .*, not undefined/],
  ])('finds %s', async (_title, path, value, message) => {
    await edit(`${folder}/package.json`, path, value);
    expect((await checkPackages(root)).join('\n')).toMatch(message);
  });

  it('finds a tsconfig.json with other settings', async () => {
    await write(`${folder}/tsconfig.json`, '{ "extends": "../tsconfig.json", "include": ["src"] }');
    expect(await checkPackages(root)).toEqual([
      `${folder}/tsconfig.json: does not extend ../../tsconfig.base.json`,
      `${folder}/tsconfig.json: sets "include"`,
      `${folder}/tsconfig.json: references none, but the source imports @ghl/core`,
    ]);
  });

  it.each([
    ['no LICENSE', undefined],
    ['another LICENSE', 'ISC'],
  ])('finds %s', async (_title, text) => {
    await rm(join(root, folder, 'LICENSE'));
    if (text !== undefined) await write(`${folder}/LICENSE`, text);
    expect(await checkPackages(root)).toEqual([`${folder}/LICENSE: is not a copy of the root`]);
  });

  it('finds a native peer that npm would install', async () => {
    await edit(`${folder}/package.json`, ['peerDependencies', 'webgpu'], '0.6.2');
    expect(await checkPackages(root)).toEqual([`${folder}/package.json: peer webgpu is not optional`]);
  });

  it('finds a package that the root does not reference', async () => {
    await write('tsconfig.json', '{ "files": [] }');
    expect(await checkPackages(root)).toEqual([`tsconfig.json: references none, but the workspaces are ${folder}`]);
  });

  it.each([
    ['no README', undefined, /README\.md: is missing/],
    ['another title', (text: string) => text.replace('# @ghl/rule-good', '# Good'), /does not open with/],
    ['a section that is missing', (text: string) => text.replace('## API', ''), /has the sections/],
    [
      'sections in another order',
      (text: string) => text.replace('## Use', '## Usage').replace('## API', '## Use').replace('## Usage', '## API'),
      /has the sections/,
    ],
    ['no equation', (text: string) => text.replaceAll('```', ''), /equation/],
    ['no command to install', (text: string) => text.replace('npm install', 'yarn add'), /npm install @ghl\/rule-good/],
  ])('finds %s', async (_title, change, message) => {
    const path = `${folder}/README.md`;
    if (change === undefined) await rm(join(root, path));
    else await write(path, change(await readFile(join(root, path), 'utf8')));
    expect((await checkPackages(root)).join('\n')).toMatch(message);
  });
});
