import { readFile } from 'node:fs/promises';
import { expect, it } from 'vitest';
// @ts-expect-error: a script, in plain JavaScript
import { folders, indexOf } from './collect.mjs';

it.each(folders as readonly { path: string }[])(
  'has an up-to-date index in $path: run `npm run collect` if not',
  async (folder) => {
    expect(await readFile(`${folder.path}/index.ts`, 'utf8')).toBe(indexOf(folder));
  },
);
