/** The built repository: imports in plain Node at its root, and the output of the root scripts. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { packages } from './packed-project.js';

const run = promisify(execFile);

it('lets plain Node at the root import every package', async () => {
  const tensorFlow = ['core', 'layers', 'data', 'backend-cpu', 'backend-wasm'].map(
    (name) => `@tensorflow/tfjs-${name}`,
  );
  const names = [...(await packages()).keys(), ...tensorFlow];
  const script = `for (const name of ${JSON.stringify(names)}) console.log(name, Object.keys(await import(name)).length > 0);`;
  const { stdout } = await run(process.execPath, ['--input-type=module', '-e', script]);
  expect(stdout.trim().split('\n')).toEqual(names.map((name) => `${name} true`));
});

it('prints one JSON document on standard output, and everything else on standard error', async () => {
  const { stdout, stderr } = await run('npm', ['run', '--silent', 'bench', '--', 'list', '--json']);
  expect(JSON.parse(stdout)).toHaveProperty('networks');
  expect(stderr).toContain('@ghl/bench:build');
});
