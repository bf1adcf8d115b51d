import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect, it } from 'vitest';
import { errorCodes } from './error-codes.js';
// @ts-expect-error: a script, in plain JavaScript
import { errorsPage } from './errors-page.mjs';

const page = 'docs/reference/errors.md';

it('docs/reference/errors.md is generated from the codes.ts of the packages', async () => {
  expect(await readFile(page, 'utf8')).toBe(errorsPage());
});

it('finds every code and no other in the page of errors, with its class', async () => {
  const rows = [
    ...(await readFile(page, 'utf8')).matchAll(/^\| `([A-Z][A-Z0-9_]+)` \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$/gm),
  ];
  const lines = rows.map(([, code, classes]) => `${code} | ${classes!.replaceAll('`', '')}`);
  const thrown = [...errorCodes()].map(
    ([code, places]) => `${code} | ${[...new Set(places.map(({ errorClass }) => errorClass))].sort().join(', ')}`,
  );
  expect(lines).toEqual(thrown.sort());
});

it('reads every form of a code in the source', async () => {
  const root = await mkdtemp(join(tmpdir(), 'ghl-codes-'));
  const write = async (path: string, text: string) => {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), text);
  };
  await write('package.json', '{ "type": "module" }');
  await write('packages/core/package.json', '{ "name": "@ghl/core", "type": "module", "exports": "./src/index.ts" }');
  await write(
    'packages/core/src/index.ts',
    `export class GhlError extends Error { constructor(readonly code: string, message: string) { super(message); } }
    export class DataError extends GhlError {}
    export function unknownName(kind: string, name: string) { return new DataError(\`UNKNOWN_\${kind.toUpperCase()}\`, name); }`,
  );
  await mkdir(join(root, 'node_modules/@ghl'), { recursive: true });
  await symlink(join(root, 'packages/core'), join(root, 'node_modules/@ghl/core'), 'dir');
  await write(
    'apps/app/src/app.ts',
    `import { DataError, GhlError } from '@ghl/core';
import { unknownName } from '@ghl/core/plugin';
    class Mine extends DataError {}
    const NAMED = 'NAMED';
    const died = { code: 'DIED' };
    function check(code: string, holds: boolean) { if (!holds) throw new Mine(code, 'no'); }
    const find = (name: string) => { throw unknownName('thing', name); };
    export function all(x: boolean) {
      if (x) throw new DataError(x ? 'LEFT' : 'RIGHT', 'no');
      check('CHECKED', x);
      find('x');
      throw x ? new GhlError(died.code, 'no') : new GhlError(NAMED, 'no');
    }
    export const other = new Error('OTHER');`,
  );
  await write('apps/app/src/app.test.ts', "import { GhlError } from '@ghl/core'; new GhlError('TESTED', '');");
  try {
    const actual = [...errorCodes(root)].map(([code, [first]]) => `${code} ${first?.errorClass}`).sort();
    expect(actual).toEqual([
      'CHECKED Mine',
      'DIED GhlError',
      'LEFT DataError',
      'NAMED GhlError',
      'RIGHT DataError',
      'UNKNOWN_THING ConfigurationError',
    ]);
    await write(
      'apps/app/src/unclear.ts',
      "import { GhlError } from '@ghl/core'; throw new GhlError(process.title, '');",
    );
    expect(() => errorCodes(root)).toThrow('apps/app/src/unclear.ts:1: cannot tell which code process.title is.');
  } finally {
    await rm(root, { recursive: true });
  }
});
