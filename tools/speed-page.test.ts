import { readFile } from 'node:fs/promises';
import { expect, it } from 'vitest';
// @ts-expect-error: a script, in plain JavaScript
import { speedPage } from './speed-page.mjs';

it('docs/reference/speed.md matches its runs', async () => {
  expect(await readFile('docs/reference/speed.md', 'utf8')).toBe(`${speedPage()}\n`);
});
