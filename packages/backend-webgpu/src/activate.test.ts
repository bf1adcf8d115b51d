import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import '@tensorflow/tfjs-backend-cpu';
import type { WebGPUBackend } from '@tensorflow/tfjs-backend-webgpu';
import * as tf from '@tensorflow/tfjs-core';
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { activate, backend, deactivate, isSupported } from './index.js';

beforeAll(async () => {
  await tf.setBackend('cpu');
});
beforeEach(() => tf.engine().startScope());
afterEach(async () => {
  tf.engine().endScope();
  await deactivate();
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
});

const code = (name: string) => expect.objectContaining({ code: name, help: expect.any(String) });
const gpu = () => tf.backend() as WebGPUBackend;
/** A tensor large enough that the backend computes on the GPU, not on the CPU. */
const many = () => tf.randomNormal([40, 40], 0, 1, 'float32', 1);

describe('activate', () => {
  it('makes webgpu the backend, and returns its properties', async () => {
    const actual = await activate();
    expect(tf.getBackend()).toBe('webgpu');
    expect(actual).toMatchObject({ name: 'webgpu', numerics: { subgroups: expect.any(Boolean) } });
    expect(actual.device).toMatch(/\w/);
    expect(actual.driver).toMatch(/\w/);
    expect(actual.versions).toMatchObject({
      '@tensorflow/tfjs-backend-webgpu': '4.22.0',
      webgpu: '0.6.2',
      node: process.versions.node,
    });
    for (const kernel of actual.kernels) expect(tf.getKernel(kernel, 'webgpu')).toBeDefined();
  });

  it('takes every limit and feature that the GPU offers', async () => {
    const { limits, numerics } = await activate();
    const { device } = gpu();
    // The default of a device.
    expect(limits!.maxBufferSize).toBeGreaterThan(2 ** 28);
    expect(limits!.maxStorageBufferBindingSize).toBe(device.limits.maxStorageBufferBindingSize);
    expect(numerics!.subgroups).toBe(device.features.has('subgroups'));
  });

  it('is idempotent, also in simultaneous calls and after a switch to another backend', async () => {
    const [first, second] = await Promise.all([activate(), backend.activate()]);
    expect(second).toBe(first);
    await tf.setBackend('cpu');
    expect(await activate()).toBe(first);
    expect(tf.getBackend()).toBe('webgpu');
  });

  it('runs simultaneous calls of activate() and deactivate() in order', async () => {
    const first = await activate();
    await Promise.all([deactivate(), deactivate()]);
    expect(tf.getBackend()).toBe('cpu');
    await activate();
    const [, second] = await Promise.all([deactivate(), activate()]);
    expect([second === first, tf.getBackend()]).toEqual([false, 'webgpu']);
    await Promise.all([activate(), deactivate(), activate()]);
    expect(tf.getBackend()).toBe('webgpu');
    expect((await tf.square(many()).data())[0]).toBeGreaterThan(0);
    await Promise.all([activate(), deactivate()]);
    expect(tf.getBackend()).toBe('cpu');
  });

  it('creates a device without subgroups if the option disables them', async () => {
    const { numerics, notes } = await activate({ subgroups: false });
    expect(numerics).toEqual({ subgroups: false });
    expect(gpu().device.features.has('subgroups')).toBe(false);
    expect(notes!.join()).not.toContain('ubgroup');
  });

  it('throws a coded error for invalid options', async () => {
    await expect(activate({ subgroup: true } as object)).rejects.toEqual(code('UNKNOWN_OPTION'));
    await expect(activate({ subgroups: 'yes' } as object)).rejects.toEqual(code('BAD_VALUE'));
    const { numerics } = await activate();
    if (numerics!.subgroups) await expect(activate({ subgroups: false })).rejects.toEqual(code('ALREADY_ACTIVE'));
  });

  it("throws if TensorFlow.js's own backend runs, on a separate device", async () => {
    await activate();
    const stock = gpu();
    await deactivate();
    tf.registerBackend('webgpu', () => stock);
    await tf.setBackend('webgpu');
    await expect(activate()).rejects.toEqual(code('STOCK_BACKEND_ACTIVE'));
    tf.removeBackend('webgpu');
    await tf.setBackend('cpu');
  });

  describe('whose first kernel with subgroups fails', () => {
    /** Replaces the code of every shader that uses subgroups. Returns whether the GPU has subgroups. */
    async function withShaders(instead: (device: GPUDevice) => string): Promise<boolean> {
      const { subgroups } = (await activate()).numerics!;
      const prototype = Object.getPrototypeOf(gpu().device) as GPUDevice;
      await deactivate();
      if (!subgroups) return false;
      const make = prototype.createShaderModule;
      vi.spyOn(prototype, 'createShaderModule').mockImplementation(function (this: GPUDevice, { code, label = '' }) {
        return make.call(this, { code: code.includes('enable subgroups') ? instead(this) : code, label });
      });
      return true;
    }

    it('starts without subgroups if the driver refuses them', async () => {
      if (!(await withShaders(() => 'no shader'))) return;
      const { numerics, notes } = await activate();
      expect(numerics).toEqual({ subgroups: false });
      expect(notes!.join()).toContain('driver refuses subgroup operations');
      expect(tf.getBackend()).toBe('webgpu');
      await deactivate();
      expect(tf.getBackend()).toBe('cpu');
    });

    it('restores everything if the device is lost during the start, and can start again', async () => {
      const before = Object.getOwnPropertyNames(globalThis).sort();
      const lost = await withShaders((device) => {
        device.destroy();
        return '';
      });
      if (!lost) return;
      const [stock, tensors] = [tf.getKernel('Exp', 'webgpu'), tf.memory().numTensors];
      await expect(activate()).rejects.toEqual(code('DEVICE_LOST'));
      expect([tf.getBackend(), tf.getKernel('Exp', 'webgpu'), tf.memory().numTensors]).toEqual(['cpu', stock, tensors]);
      expect(tf.findBackendFactory('webgpu')).toBeNull();
      expect(Object.getOwnPropertyNames(globalThis).sort()).toEqual(before);
      vi.restoreAllMocks();
      await activate();
      expect((await tf.square(many()).data())[0]).toBeGreaterThan(0);
    });
  });

  it('adds globals only while it is active', async () => {
    const names = () => Object.getOwnPropertyNames(globalThis).sort();
    const before = [names(), Object.getOwnPropertyDescriptor(globalThis, 'navigator')];
    await activate();
    expect(globalThis).toHaveProperty('GPUBuffer');
    await deactivate();
    expect([names(), Object.getOwnPropertyDescriptor(globalThis, 'navigator')]).toEqual(before);
  });
});

describe('isSupported', () => {
  it('returns true here', async () => {
    expect(await isSupported()).toEqual({ supported: true });
  });

  it('names a missing Vulkan loader and what to install, before Dawn prints anything', async () => {
    if (process.platform !== 'linux') return;
    const stderr = vi.spyOn(process.stderr, 'write');
    vi.spyOn(process, 'dlopen').mockImplementation((_, name) => {
      throw new Error(`${name}: cannot open shared object file: No such file or directory`);
    });
    expect(await isSupported()).toMatchObject({
      supported: false,
      reason: expect.stringContaining('libvulkan.so.1'),
      help: expect.stringContaining('libvulkan1'),
    });
    await expect(activate()).rejects.toEqual(code('WEBGPU_UNSUPPORTED'));
    expect(tf.getBackend()).toBe('cpu');
    expect(stderr).not.toHaveBeenCalled();
  });
});

describe('deactivate', () => {
  it('leaves tensors that can be disposed of, but throw a coded error when read', async () => {
    await activate();
    const x = tf.square(many());
    await deactivate();
    expect(() => x.dataSync()).toThrow(code('BACKEND_GONE'));
    await expect(x.data()).rejects.toEqual(code('BACKEND_GONE'));
    expect(() => tf.add(x, 1)).toThrow(code('BACKEND_GONE'));
    x.dispose();
  });

  it('does nothing if the backend is not active', async () => {
    await deactivate();
    expect(tf.getBackend()).toBe('cpu');
  });

  it('restores the previous backend and every stock kernel, and allows another activate()', async () => {
    await activate();
    await deactivate();
    expect(tf.getBackend()).toBe('cpu');
    const stock = tf.getKernel('Exp', 'webgpu');
    expect(stock).toBeDefined();

    await activate();
    expect(tf.getKernel('Exp', 'webgpu')).not.toBe(stock);
    await deactivate();
    expect(tf.getKernel('Exp', 'webgpu')).toBe(stock);
  });
});

describe('errors of the GPU', () => {
  it('throws TENSOR_TOO_LARGE for a tensor larger than any buffer', async () => {
    const { limits } = await activate();
    const { maxStorageBufferBindingSize: most } = limits as { maxStorageBufferBindingSize: number };
    const tooLarge = () => tf.fill([most / 4 + 1], 1);
    expect(tooLarge).toThrow(code('TENSOR_TOO_LARGE'));
    expect(tooLarge).toThrow(`takes ${(most + 4).toLocaleString('en')} bytes`);
    expect(tooLarge).toThrow(`at most ${most.toLocaleString('en')} in one piece`);
    expect(tooLarge).toThrow('at most 99.9 % of the present one');
  });

  it('throws OUT_OF_MEMORY with the size of all tensors', async () => {
    await activate();
    const x = tf.square(many());
    // The event of a device whose memory is full. To fill it could crash the machine.
    const error = new GPUOutOfMemoryError('no memory');
    gpu().device.dispatchEvent(new GPUUncapturedErrorEvent('uncapturederror', { error, cancelable: true }));
    await expect(x.data()).rejects.toEqual(code('OUT_OF_MEMORY'));
    await expect(x.data()).rejects.toThrow(/0\.\d MiB/);
  });

  it('throws GPU_ERROR for an operation that the driver refuses, and reads no tensor after it', async () => {
    await activate();
    const x = tf.square(many());
    gpu().device.createShaderModule({ code: 'no shader' });
    await expect(x.data()).rejects.toEqual(code('GPU_ERROR'));
    expect(() => tf.square(x)).toThrow(code('GPU_ERROR'));
  });
});

it('trains in a process that prints nothing and ends without help', () => {
  const folder = fileURLToPath(new URL('..', import.meta.url));
  const node = (...args: string[]) =>
    spawnSync(process.execPath, args, {
      cwd: folder,
      encoding: 'utf8',
      timeout: 50_000,
      env: { ...process.env, NODE_OPTIONS: '' },
    });
  expect(node(createRequire(import.meta.url).resolve('typescript/bin/tsc'), '-b')).toMatchObject({ status: 0 });
  const script = `
    import * as tf from '@tensorflow/tfjs-core';
    import { layers, sequential } from '@tensorflow/tfjs-layers';
    import { activate } from '@ghl/backend-webgpu';
    await activate();
    const model = sequential({ layers: [
      layers.conv2d({ inputShape: [6, 6, 2], filters: 4, kernelSize: 3 }),
      layers.flatten(),
      layers.dense({ units: 3, activation: 'softmax' }),
    ] });
    model.compile({ optimizer: 'sgd', loss: 'categoricalCrossentropy' });
    const loss = await model.trainOnBatch(tf.randomNormal([4, 6, 6, 2]), tf.oneHot(tf.tensor1d([0, 1, 2, 0], 'int32'), 3));
    process.exitCode = Number.isFinite(loss) ? 42 : 1;`;
  expect(node('--input-type=module', '-e', script)).toMatchObject({
    status: 42,
    signal: null,
    stdout: '',
    stderr: '',
  });
});
