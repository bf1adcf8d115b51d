import { readFile } from 'node:fs/promises';
import { expect, it } from 'vitest';
// @ts-expect-error: a script, in plain JavaScript
import { backendsPage } from './backends-page.mjs';

it('docs/reference/backends.md matches its reports', async () => {
  expect(await readFile('docs/reference/backends.md', 'utf8')).toBe(backendsPage());
});
