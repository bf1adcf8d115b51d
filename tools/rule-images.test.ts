import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { parts } from '@ghl/recipes';
import { expect, it } from 'vitest';
// @ts-expect-error: a script, in plain JavaScript
import { products } from './rule-images.mjs';

const images = join(import.meta.dirname, '../docs/guide/images');

it.each(['patches', ...Object.keys(products)])('draws %s in an image of at most 30 kB', (name) => {
  expect(statSync(join(images, `${name}.png`)).size).toBeLessThanOrEqual(30_000);
});

it('draws rules of this project only', () => {
  const rules = parts.filter(({ kind }) => kind === 'rule').map(({ name }) => name);
  expect(rules).toEqual(expect.arrayContaining(Object.keys(products)));
});

it('shows every image on the page of its rule, with a link from the page of all rules', () => {
  const guide = join(images, '..');
  const pages = readdirSync(join(guide, 'rules')).map((file) => [
    file,
    readFileSync(join(guide, 'rules', file), 'utf8'),
  ]) as [string, string][];
  const index = readFileSync(join(guide, 'rules.md'), 'utf8');
  for (const name of Object.keys(products)) {
    const file = pages.find(([, text]) => text.includes(`](../images/${name}.png)`))?.[0];
    expect(file, name).toBeDefined();
    expect(index, name).toContain(`](rules/${file})`);
  }
});
