/**
 * Two copies of @ghl/backend-wasm in one process, each with its own copy of @tensorflow/tfjs-backend-wasm. npm installs
 * them if two packages depend on different versions.
 */
import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';

const run = promisify(execFile);
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ghl-two-copies-'));
  for (const scope of ['@ghl', '@tensorflow']) {
    const [from, to] = [resolve('node_modules', scope), join(folder, 'node_modules', scope)];
    await mkdir(to, { recursive: true });
    for (const name of await readdir(from)) {
      if (/backend-wasm$/.test(name))
        await cp(join(from, name), join(to, name), { recursive: true, dereference: true });
      else await symlink(join(from, name), join(to, name));
    }
  }
});
afterAll(() => rm(folder, { recursive: true }));

/** The output of a program with both copies, their stock backends, and a check of the current backend. */
async function program(source: string): Promise<string> {
  const there = (path: string) => JSON.stringify(pathToFileURL(resolve(path)).href);
  const text = `
    import * as tf from '@tensorflow/tfjs-core';
    import '@tensorflow/tfjs-layers';
    import '@tensorflow/tfjs-backend-cpu';
    await tf.setBackend('cpu');
    console.warn = () => {}; // each copy warns of every kernel of the other one
    const importFirst = () => import(${there('packages/backend-wasm/dist/index.js')});
    const importSecond = () => import('@ghl/backend-wasm');
    const importSecondStock = () => import('@tensorflow/tfjs-backend-wasm');
    const log = (...values) => console.log(...values);
    const code = (call) => call.then(() => 'done', (error) => error.code);
    const computes = () => tf.tidy(() => {
      const [x, w] = [tf.ones([1, 3, 3, 1]), tf.ones([2, 2, 1, 1])];
      const dw = tf.getBackend() === 'wasm' && tf.getKernel('Conv2DBackpropFilter', 'wasm') === undefined
        ? [4] : tf.grad((filter) => tf.conv2d(x, filter, 1, 'valid'))(w).dataSync();
      // A stock kernel, and two replaced ones.
      const gathered = tf.gather(tf.tensor1d([1, 2, 3]), tf.tensor1d([2, 0], 'int32')).dataSync();
      return [dw[0], ...gathered, tf.sum(x).dataSync()[0], tf.add(1, 2).dataSync()[0]].join() === '4,3,1,9,3';
    });
    ${source}`;
  await writeFile(join(folder, 'program.mjs'), text);
  return (await run(process.execPath, ['program.mjs'], { cwd: folder })).stdout.trim();
}

it('are active one at a time, and leave no kernel behind', async () => {
  const output = await program(`
    const [first, second] = [await importFirst(), await importSecond()];
    log(first.activate !== second.activate);
    for (const [a, b] of [[first, second], [second, first], [first, second]]) {
      await a.activate({ threads: 2 });
      log(await code(b.activate()), computes(), await code(b.deactivate()), computes(), tf.getBackend());
      await a.deactivate();
      log(tf.getBackend(), computes());
    }`);
  const round = ['OTHER_COPY true done true wasm', 'cpu true'];
  expect(output.split('\n')).toEqual(['true', ...round, ...round, ...round]);
});

it('use a stock backend of the other package, and restore it', async () => {
  const output = await program(`
    const stock = await importSecondStock();
    stock.setWasmPaths(new URL('node_modules/@tensorflow/tfjs-backend-wasm/wasm-out/', import.meta.url).pathname);
    await tf.setBackend('wasm');
    log(computes());
    const first = await importFirst();
    await first.activate();
    log(tf.getBackend(), computes());
    await first.deactivate();
    log(tf.getBackend(), computes());
    process.exit();`);
  expect(output.split('\n')).toEqual(['true', 'wasm true', 'wasm true']);
});

it('keep kernels that the other package registers meanwhile, and restore their own', async () => {
  const output = await program(`
    const first = await importFirst();
    await first.activate();
    await importSecondStock();
    const theirs = tf.getKernel('Sum', 'wasm');
    await first.deactivate();
    log(tf.getBackend(), computes(), tf.getKernel('Sum', 'wasm') === theirs);
    await first.activate();
    log(tf.getBackend(), computes());
    await first.deactivate();
    log(tf.getBackend(), computes());`);
  expect(output.split('\n')).toEqual(['cpu true true', 'wasm true', 'cpu true']);
});
