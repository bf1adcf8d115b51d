import { readdir, readFile } from 'node:fs/promises';
import { expect, it } from 'vitest';

it('docs/design/dependencies.md names each dependency, and no other', async () => {
  const page = await readFile('docs/design/dependencies.md', 'utf8');
  const folders = ['.'];
  for (const parent of ['packages', 'apps'])
    folders.push(...(await readdir(parent)).map((name) => `${parent}/${name}`));
  const used = new Set<string>();
  for (const folder of folders) {
    const manifest = JSON.parse(await readFile(`${folder}/package.json`, 'utf8')) as Record<string, object>;
    for (const kind of ['dependencies', 'devDependencies', 'peerDependencies', 'optionalDependencies']) {
      for (const name of Object.keys(manifest[kind] ?? {})) used.add(name);
    }
  }
  const covered = /^@(ghl|tensorflow|types)\//;
  expect([...used].filter((name) => !covered.test(name) && !page.includes(`\`${name}\``))).toEqual([]);
  const explained = [...page.matchAll(/^- (?:\*\*`[^`]+`\*\*(?: with )?)+/gm)].flatMap(([names]) =>
    [...names.matchAll(/`([^`]+)`/g)].map(([, name]) => name as string),
  );
  expect(explained.length).toBeGreaterThan(20);
  expect(explained.filter((name) => !name.startsWith('@types/') && !used.has(name))).toEqual([]);
});
