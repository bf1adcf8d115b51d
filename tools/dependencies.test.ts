import { readdir, readFile } from 'node:fs/promises';
import { expect, it } from 'vitest';

type Versions = Record<string, string>;

/** The dependencies of all manifests, with their versions. */
async function* dependencies() {
  const folders = ['.'];
  for (const parent of ['packages', 'apps'])
    folders.push(...(await readdir(parent)).map((name) => `${parent}/${name}`));
  for (const folder of folders) {
    const manifest = JSON.parse(await readFile(`${folder}/package.json`, 'utf8')) as Record<string, Versions>;
    for (const kind of ['dependencies', 'devDependencies', 'peerDependencies', 'optionalDependencies']) {
      for (const [name, version] of Object.entries(manifest[kind] ?? {})) yield { name, version };
    }
  }
}

it('uses one version of each dependency', async () => {
  const versions = new Map<string, Set<string>>();
  for await (const { name, version } of dependencies()) {
    versions.set(name, (versions.get(name) ?? new Set()).add(version.replace('^', '')));
  }
  expect(versions.size).toBeGreaterThan(40);
  expect([...versions].filter(([, { size }]) => size > 1)).toEqual([]);
});

it('finds each dependency and no other in docs/design/dependencies.md', async () => {
  const page = await readFile('docs/design/dependencies.md', 'utf8');
  const used = new Set<string>();
  for await (const { name } of dependencies()) used.add(name);
  const covered = /^@(ghl|tensorflow|types)\//;
  expect([...used].filter((name) => !covered.test(name) && !page.includes(`\`${name}\``))).toEqual([]);
  const explained = [...page.matchAll(/^- (?:\*\*`[^`]+`\*\*(?: with )?)+/gm)].flatMap(([names]) =>
    [...names.matchAll(/`([^`]+)`/g)].map(([, name]) => name as string),
  );
  expect(explained.length).toBeGreaterThan(20);
  expect(explained.filter((name) => !name.startsWith('@types/') && !used.has(name))).toEqual([]);
});
