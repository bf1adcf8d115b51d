/**
 * Two copies of this package in one process, like two versions in node_modules, and other code that changes the
 * backend.
 */
import '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-layers';
import fc from 'fast-check';
import { afterEach, beforeAll, beforeEach, expect, it, vi } from 'vitest';
import { reader } from './files.js';
import * as first from './index.js';
import { loadStock } from './stock-module.js';

type Copy = typeof first;
let second: Copy;
const copies = (): Record<'first' | 'second', Copy> => ({ first, second });

beforeAll(async () => {
  await tf.setBackend('cpu');
  vi.resetModules();
  second = await import('./index.js');
  expect(second.activate).not.toBe(first.activate);
});
beforeEach(() => tf.engine().startScope());
afterEach(async () => {
  tf.engine().endScope();
  await first.deactivate();
  await second.deactivate();
});

const options = { threads: 1, variant: 'plain-6x8' } as const;
const code = (name: string) => expect.objectContaining({ code: name, help: expect.any(String) });

/** Computes a sum, a product, and a gradient that the stock backend lacks. */
function computes(): boolean {
  return tf.tidy(() => {
    const [x, w] = [tf.ones([1, 3, 3, 1]), tf.ones([2, 2, 1, 1])] as [tf.Tensor4D, tf.Tensor4D];
    const dw = tf
      .grad((filter) => tf.conv2d(x, filter as tf.Tensor4D, 1, 'valid'))(w)
      .dataSync();
    const product = tf.matMul(tf.ones([2, 3]), tf.ones([3, 2])).dataSync();
    return dw.every((value) => value === 4) && product.every((value) => value === 3) && tf.sum(x).dataSync()[0] === 9;
  });
}

const who = fc.constantFrom<'first' | 'second'>('first', 'second');
const calls = fc.array(fc.tuple(who, fc.constantFrom<'activate' | 'deactivate'>('activate', 'deactivate')), {
  minLength: 1,
  maxLength: 8,
});

/** The outcome of each call, and the copy that is active at the end. */
function expected(list: readonly (readonly ['first' | 'second', 'activate' | 'deactivate'])[]) {
  let owner: string | undefined;
  const outcomes = list.map(([copy, call]) => {
    if (call === 'deactivate') {
      if (owner === copy) owner = undefined;
      return 'done';
    }
    owner ??= copy;
    return owner === copy ? 'done' : 'OTHER_COPY';
  });
  return { outcomes, owner };
}

const outcome = (call: Promise<unknown>) =>
  call.then(
    () => 'done',
    (error) => error.code as string,
  );
const call = ([copy, name]: readonly ['first' | 'second', 'activate' | 'deactivate']) =>
  outcome(name === 'activate' ? copies()[copy].activate(options) : copies()[copy].deactivate());

it.each(['sequential', 'simultaneous'])('copies are active one at a time, in any order of %s calls', async (way) => {
  const stock = () => tf.getKernelsForBackend('wasm').length;
  await first.activate(options);
  await first.deactivate();
  const kernels = stock();
  await fc.assert(
    fc.asyncProperty(calls, async (list) => {
      const { outcomes, owner } = expected(list);
      const actual: string[] = [];
      if (way === 'simultaneous') actual.push(...(await Promise.all(list.map(call))));
      else for (const each of list) actual.push(await call(each));
      expect(actual).toEqual(outcomes);
      expect(tf.getBackend()).toBe(owner === undefined ? 'cpu' : 'wasm');
      expect(computes()).toBe(true);
      await first.deactivate();
      await second.deactivate();
      expect(tf.getBackend()).toBe('cpu');
      expect(stock()).toBe(kernels);
    }),
    { numRuns: 25 },
  );
});

it('a copy names the location of the active copy', async () => {
  await first.activate(options);
  await expect(second.activate(options)).rejects.toEqual(code('OTHER_COPY'));
  await expect(second.activate(options)).rejects.toThrow(/backend-wasm.*file:.*activate\.ts.*file:.*activate\.ts/s);
  expect(computes()).toBe(true);
});

it('a copy can start after another one failed to start', async () => {
  await expect(first.activate({ ...options, wasmPaths: 'nowhere/' })).rejects.toEqual(code('WASM_FAILED'));
  await second.activate(options);
  expect(computes()).toBe(true);
});

it('a stock backend in the place of ours computes on its own memory, and activate() restores ours', async () => {
  await first.activate(options);
  const lost = tf.ones([2]);
  const { BackendWasm } = await import('@tensorflow/tfjs-backend-wasm');
  tf.removeBackend('wasm');
  tf.registerBackend('wasm', async () => new BackendWasm(await loadStock(reader(), false)));
  await tf.setBackend('wasm');
  const stock = tf.backend();
  const add = () => tf.tidy(() => tf.sum(tf.add(tf.ones([64]), tf.ones([64]))).dataSync()[0]);
  expect(add()).toBe(128);
  expect(() => tf.engine().runKernel('GhlReluGrad', { dy: tf.ones([2]), y: tf.ones([2]) })).toThrow(
    code('BACKEND_GONE'),
  );
  await first.activate(options);
  expect(computes()).toBe(true);
  expect(() => lost.dataSync()).toThrow(code('BACKEND_GONE'));
  await first.deactivate();
  expect(tf.getBackend()).toBe('wasm');
  expect(tf.backend()).not.toBe(stock);
  expect(add()).toBe(128);
  tf.removeBackend('wasm');
  await tf.setBackend('cpu');
});

it('deactivate() leaves a backend that replaced ours', async () => {
  await first.activate(options);
  const { BackendWasm } = await import('@tensorflow/tfjs-backend-wasm');
  tf.removeBackend('wasm');
  tf.registerBackend('wasm', async () => new BackendWasm(await loadStock(reader(), false)));
  await tf.setBackend('wasm');
  const stock = tf.backend();
  await first.deactivate();
  expect(tf.backend()).toBe(stock);
  expect(tf.tidy(() => tf.sum(tf.add(tf.ones([64]), tf.ones([64]))).dataSync()[0])).toBe(128);
  tf.removeBackend('wasm');
  await tf.setBackend('cpu');
});

it('deactivate() leaves a kernel that replaced ours', async () => {
  await first.activate(options);
  const theirs: tf.KernelConfig = { kernelName: 'Sum', backendName: 'wasm', kernelFunc: () => [] };
  const stock = tf.getKernel('Sum', 'wasm');
  tf.unregisterKernel('Sum', 'wasm');
  tf.registerKernel(theirs);
  await first.deactivate();
  expect(tf.getKernel('Sum', 'wasm')).toBe(theirs);
  tf.unregisterKernel('Sum', 'wasm');
  tf.registerKernel(stock);
});
