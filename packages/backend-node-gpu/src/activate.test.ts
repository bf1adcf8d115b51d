import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import util from 'node:util';
import { UnsupportedError } from '@ghl/core';
import { MathBackendCPU } from '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { activate, backend, deactivate, isSupported } from './index.js';
import { findTfjsNode } from './tfjs-node.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ghl-node-gpu-'));
  vi.spyOn(process, 'cwd').mockReturnValue(folder);
});
afterEach(() => {
  vi.restoreAllMocks();
  rmSync(folder, { recursive: true });
});

function put(path: string, text: string): void {
  mkdirSync(dirname(join(folder, path)), { recursive: true });
  writeFileSync(join(folder, path), text);
}
const packageOf = (name: string, version = '4.22.0') =>
  put(`node_modules/@tensorflow/${name}/package.json`, JSON.stringify({ version, main: 'index.js' }));
const bindingOf = (name: string, text = '') =>
  put(`node_modules/@tensorflow/${name}/lib/napi-v8/tfjs_binding.node`, text);

const installed = findTfjsNode([import.meta.url]) !== undefined;

describe.skipIf(installed)('isSupported() and activate() name the reason and the remedy', () => {
  async function refusal() {
    const support = await isSupported();
    if (support.supported) throw new Error('It is supported.');
    const functions = Object.keys(util);
    const error = await activate().catch((each: unknown) => each);
    expect(error).toBeInstanceOf(UnsupportedError);
    expect(error).toMatchObject({ code: 'NODE_GPU_UNSUPPORTED', help: support.help });
    expect((error as Error).message).toContain(support.reason);
    expect(Object.keys(util)).toEqual(functions);
    expect('tensorflow' in tf.engine().registry).toBe(false);
    return support;
  }

  it('if no package is installed', async () => {
    const { reason, help } = await refusal();
    expect(reason).toMatch(/Neither .*tfjs-node-gpu nor .*tfjs-node is installed/);
    expect(help).toContain('npm install --ignore-scripts @tensorflow/tfjs-node@4.22.0');
  });

  it('if the package has another version than TensorFlow.js', async () => {
    packageOf('tfjs-node', '4.21.0');
    const { reason, help } = await refusal();
    expect(reason).toContain('@tensorflow/tfjs-node is 4.21.0, but @tensorflow/tfjs-core is 4.22.0');
    expect(help).toContain('@tensorflow/tfjs-node@4.22.0');
  });

  it('if the native part is missing', async () => {
    packageOf('tfjs-node-gpu');
    const { reason, help } = await refusal();
    expect(reason).toContain('@tensorflow/tfjs-node-gpu has no native part');
    expect(help).toContain('npx @ghl/backend-node-gpu install');
  });

  it('if the native part does not load in a separate process', async () => {
    packageOf('tfjs-node');
    bindingOf('tfjs-node', 'no library');
    const { reason, help } = await refusal();
    expect(reason).toContain('of another version, for another machine, or broken');
    expect(help).toContain('npx @ghl/backend-node-gpu install');
  });

  it('if there is no working directory', async () => {
    vi.mocked(process.cwd).mockImplementation(() => {
      throw new Error('ENOENT: uv_cwd');
    });
    expect((await refusal()).reason).toContain('uv_cwd');
  });

  it('if package.json cannot be read', async () => {
    put('node_modules/@tensorflow/tfjs-node/package.json', '{');
    await refusal();
  });
});

it('prefers a package with its native part, then the package for GPUs', () => {
  const find = () => findTfjsNode([join(folder, 'package.json')])?.name;
  expect(find()).toBeUndefined();
  packageOf('tfjs-node');
  expect(find()).toBe('@tensorflow/tfjs-node');
  packageOf('tfjs-node-gpu');
  expect(find()).toBe('@tensorflow/tfjs-node-gpu');
  bindingOf('tfjs-node');
  expect(find()).toBe('@tensorflow/tfjs-node');
  bindingOf('tfjs-node-gpu');
  expect(find()).toBe('@tensorflow/tfjs-node-gpu');
});

it('rejects any option', async () => {
  await expect(activate({ threads: 2 } as object)).rejects.toMatchObject({ code: 'UNKNOWN_OPTION' });
});

// A backend that is registered already is not loaded: a package of empty files and the CPU backend take its place.
it.skipIf(installed)('runs simultaneous calls of activate() and deactivate() in order', async () => {
  packageOf('tfjs-node');
  bindingOf('tfjs-node');
  const stand = new MathBackendCPU();
  Object.assign(stand, { binding: { TF_Version: '2.18.1' }, isUsingGpuDevice: false });
  tf.registerBackend('tensorflow', () => stand);
  tf.copyRegisteredKernels('cpu', 'tensorflow');
  await tf.setBackend('tensorflow');
  await tf.setBackend('cpu');
  const stock = tf.getKernel('Conv2D', 'tensorflow');
  const isOn = () => tf.getBackend() === 'tensorflow' && tf.getKernel('Conv2D', 'tensorflow') !== stock;
  const isOff = () => tf.getBackend() === 'cpu' && tf.getKernel('Conv2D', 'tensorflow') === stock;
  try {
    await activate();
    expect(isOn()).toBe(true);
    await Promise.all([deactivate(), deactivate()]);
    expect(isOff()).toBe(true);
    await Promise.all([activate(), deactivate(), activate()]);
    expect(isOn()).toBe(true);
    await Promise.all([deactivate(), activate(), deactivate()]);
    expect(isOff()).toBe(true);
  } finally {
    await deactivate();
    for (const { kernelName } of tf.getKernelsForBackend('tensorflow')) tf.unregisterKernel(kernelName, 'tensorflow');
    tf.removeBackend('tensorflow');
  }
});

it('deactivate() does nothing if the backend is not active', async () => {
  await deactivate();
  expect(backend.name).toBe('tensorflow');
});
