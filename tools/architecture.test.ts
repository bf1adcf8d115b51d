/** The paths on the map of the repository. */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { expect, it } from 'vitest';

it('finds every path of docs/design/architecture.md', async () => {
  const page = await readFile('docs/design/architecture.md', 'utf8');
  const paths = [...page.matchAll(/`((?:packages|apps|docs|tools)\/[^`\s]+|\.[\w-]+\.mjs)`/g)].map(([, path]) => path!);
  expect(paths.length).toBeGreaterThan(20);
  expect(paths.filter((path) => !existsSync(path))).toEqual([]);
});
