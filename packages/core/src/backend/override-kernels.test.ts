import * as tf from '@tensorflow/tfjs-core';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { type KernelOverride, overrideKernels } from './override-kernels.js';

const backendName = 'fake';
const stock = (kernelName: string): tf.KernelConfig => ({
  kernelName,
  backendName,
  kernelFunc: () => info(kernelName),
});
const info = (dtype: string) => ({ dtype }) as unknown as tf.TensorInfo;
/** The result of the registered kernel; undefined if there is none. */
const result = (name: string) => (tf.getKernel(name, backendName)?.kernelFunc({} as never) as tf.TensorInfo)?.dtype;
const kernels = () => tf.getKernelsForBackend(backendName).sort((a, b) => a.kernelName.localeCompare(b.kernelName));

beforeEach(() => {
  for (const name of ['A', 'B']) tf.registerKernel(stock(name));
});
afterEach(() => {
  for (const { kernelName } of kernels()) tf.unregisterKernel(kernelName, backendName);
});

/** A kernel whose result is its own name and that of the kernel that it replaces. */
const tagged = (name: string, tag: string): KernelOverride => ({
  name,
  create: (below) => () => info(`${tag}(${below === undefined ? '' : (below({} as never) as tf.TensorInfo).dtype})`),
});

it('passes each kernel the one that it replaces, and restores all of them', () => {
  const before = kernels();
  const restore = overrideKernels(backendName, [tagged('A', 'x'), tagged('New', 'y')]);
  expect([result('A'), result('B'), result('New')]).toEqual(['x(A)', 'B', 'y()']);
  restore();
  expect(kernels()).toEqual(before);
  expect(tf.getKernel('A', backendName)).toBe(before.find(({ kernelName }) => kernelName === 'A'));
  restore();
  expect(kernels()).toEqual(before);
});

it('stacks kernels of one name, and restores the stock kernel', () => {
  const before = tf.getKernel('A', backendName);
  const restore = overrideKernels(backendName, [tagged('A', 'x'), tagged('A', 'y')]);
  expect(result('A')).toBe('y(x(A))');
  restore();
  expect(tf.getKernel('A', backendName)).toBe(before);
});

it('keeps the set-up of the stock kernel', () => {
  const setupFunc = () => {};
  tf.registerKernel({ ...stock('C'), setupFunc });
  overrideKernels(backendName, [tagged('C', 'x')]);
  expect(tf.getKernel('C', backendName).setupFunc).toBe(setupFunc);
});

it('leaves a kernel that other code has registered since then', () => {
  const restore = overrideKernels(backendName, [tagged('A', 'x'), tagged('B', 'x')]);
  tf.unregisterKernel('A', backendName);
  tf.registerKernel({ ...stock('A'), kernelFunc: () => info('theirs') });
  restore();
  expect([result('A'), result('B')]).toEqual(['theirs', 'B']);
});

it('restores the replaced kernels if a later kernel cannot be created', () => {
  const before = kernels();
  const broken: KernelOverride = {
    name: 'B',
    create: () => {
      throw new Error('broken');
    },
  };
  expect(() => overrideKernels(backendName, [tagged('A', 'x'), tagged('New', 'x'), broken])).toThrow('broken');
  expect(kernels()).toEqual(before);
});
