/** The repository once it is built: what plain Node at its root can do, and what the root scripts print where. */
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

it('prints one JSON document on standard output, and all else on standard error', async () => {
  const { stdout, stderr } = await run('npm', ['run', '--silent', 'bench', '--', 'list', '--json']);
  expect(JSON.parse(stdout)).toHaveProperty('networks');
  expect(stderr).toContain('@ghl/bench:build');
});
