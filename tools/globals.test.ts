/** Packages for browsers compile without the globals of Node and the DOM. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';
import { expect, it } from 'vitest';

/** The packages whose compiler options satisfy `test`. */
function packagesWhere(test: (options: ts.CompilerOptions) => boolean | undefined): string[] {
  return readdirSync('packages').filter((name) => {
    const { config } = ts.readConfigFile(join('packages', name, 'tsconfig.json'), ts.sys.readFile);
    return test(ts.parseJsonConfigFileContent(config, ts.sys, join('packages', name)).options);
  });
}

it('gives the types of Node to adapters and data loaders only', () => {
  const packages = ['backend-node-gpu', 'backend-wasm', 'backend-webgpu', 'datasets'];
  expect(packagesWhere(({ types }) => types === undefined || types.length > 0)).toEqual(packages);
});

it('gives the library of the DOM only to packages that use a global of both Node and browsers', () => {
  const packages = ['backend-node-gpu', 'backend-wasm', 'backend-webgpu', 'core', 'datasets', 'race'];
  expect(packagesWhere(({ lib }) => lib === undefined || lib.some((each) => /dom/i.test(each)))).toEqual(packages);
});
