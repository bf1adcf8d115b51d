/** Only the files of this folder use private members of TensorFlow.js. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';

const source = join(import.meta.dirname, '..');

/**
 * TypeScript refuses private members without a cast through `unknown` or `never`, or a type of this folder. The names
 * of such types end in `Internals`.
 */
const signs = [
  /\bas unknown as\b/,
  /\bas never\)?\./,
  /\w*Internals\b/,
  /\binternalsOf\b/,
  /\btrainerOf\b/,
  /\b(?:tf|tfl)\.[\w.]+\.prototype\b/,
  /@tensorflow\/[\w-]+\/dist/,
];

it('finds no private member of TensorFlow.js outside this folder', () => {
  const files = readdirSync(source).filter((file) => /^[\w-]+\.ts$/.test(file));
  expect(files.length).toBeGreaterThan(15);
  const findings = files.flatMap((file) => {
    const text = readFileSync(join(source, file), 'utf8');
    return signs.filter((sign) => sign.test(text)).map((sign) => `${file}: ${sign.source}`);
  });
  expect(findings).toEqual([]);
});
