import { join, resolve } from 'node:path';
import ts from 'typescript';
import { expect, it } from 'vitest';
import { entriesOf, factoriesOf } from './factories.js';

const root = resolve('.');
const { options } = ts.parseJsonConfigFileContent(
  { ...ts.readConfigFile('tsconfig.check.json', ts.sys.readFile).config, include: [] },
  ts.sys,
  root,
);

it('finds an example in the docstring of every exported part and factory', () => {
  const factories = factoriesOf(entriesOf(root), options);
  expect(factories.length).toBeGreaterThan(30);
  expect(factories.filter(({ hasExample }) => !hasExample).map(({ name }) => name)).toEqual([]);
});

it('recognises functions, promises, subclasses and objects, and ignores types and other functions', () => {
  const file = join(root, 'tools/doc-examples/factories.fixture.ts');
  expect(factoriesOf(new Map([['fixture', file]]), options)).toEqual([
    { name: 'fixture loadRule', hasExample: false },
    { name: 'fixture rule', hasExample: true },
    { name: 'fixture layer', hasExample: false },
    { name: 'fixture adapter', hasExample: false },
  ]);
});
