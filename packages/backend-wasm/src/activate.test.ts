import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import { layers, type Sequential, sequential } from '@tensorflow/tfjs-layers';
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { reader } from './files.js';
import { activate, backend, deactivate, isSupported } from './index.js';
import { loadStock } from './stock-module.js';

beforeAll(async () => {
  await tf.setBackend('cpu');
});
beforeEach(() => tf.engine().startScope());
afterEach(async () => {
  tf.engine().endScope();
  await deactivate();
  vi.unstubAllGlobals();
});

const code = (name: string) => expect.objectContaining({ code: name, help: expect.any(String) });

describe('activate', () => {
  it('makes wasm the backend and returns its properties', async () => {
    const actual = await activate({ threads: 1 });
    expect(tf.getBackend()).toBe('wasm');
    expect(actual).toMatchObject({ name: 'wasm', threads: 1, notes: [] });
    expect(actual.device).toMatch(/\w/);
    expect(actual.driver).toMatch(/^WebAssembly SIMD, V8 \d/);
    expect(actual.versions).toMatchObject({ '@tensorflow/tfjs-backend-wasm': '4.22.0', node: process.versions.node });
    for (const kernel of actual.kernels) expect(tf.getKernel(kernel, 'wasm')).toBeDefined();
    expect(actual.kernels).toContain('Conv2DBackpropFilter');
  });

  it('is idempotent, also in simultaneous calls and after a switch to another backend', async () => {
    const [first, second] = await Promise.all([activate(), backend.activate()]);
    expect(second).toBe(first);
    await tf.setBackend('cpu');
    expect(await activate()).toBe(first);
    expect(tf.getBackend()).toBe('wasm');
  });

  it('leaves the listeners and globals of the process unchanged', async () => {
    const listener = () => {};
    process.on('uncaughtException', listener);
    const state = () => [
      process.rawListeners('uncaughtException'),
      process.rawListeners('unhandledRejection'),
      Object.getOwnPropertyDescriptor(globalThis, 'Worker'),
    ];
    const before = state();
    for (const threads of [1, 2]) {
      await activate({ threads });
      expect(state()).toEqual(before);
      await deactivate();
      expect(state()).toEqual(before);
    }
    process.off('uncaughtException', listener);
  });

  it('computes the same bits on any number of threads', async () => {
    const results: Float32Array[] = [];
    for (const threads of [1, 2, 4]) {
      expect((await activate({ threads })).threads).toBe(threads);
      const step = tf.tidy(() => {
        const x = tf.randomNormal<tf.Rank.R4>([4, 12, 12, 8], 0, 1, 'float32', 1);
        const w = tf.randomNormal<tf.Rank.R4>([3, 3, 8, 16], 0, 1, 'float32', 2);
        const [, dw] = tf.grads((a: tf.Tensor, b: tf.Tensor) =>
          tf.sum(tf.square(tf.conv2d(a as tf.Tensor4D, b as tf.Tensor4D, 1, 'same'))),
        )([x, w]);
        return dw!.dataSync<'float32'>().slice();
      });
      results.push(step);
      await deactivate();
    }
    expect(results[1]).toEqual(results[0]);
    expect(results[2]).toEqual(results[0]);
  });

  it('throws a coded error for invalid options', async () => {
    await expect(activate({ thread: 2 } as object)).rejects.toEqual(code('UNKNOWN_OPTION'));
    for (const threads of [0, 1.5, 33, Number.NaN]) {
      await expect(activate({ threads })).rejects.toEqual(code('BAD_THREADS'));
    }
    await expect(activate({ winograd: 'no' } as object)).rejects.toEqual(code('BAD_VALUE'));
    await activate({ threads: 1 });
    await expect(activate({ threads: 2 })).rejects.toEqual(code('ALREADY_ACTIVE'));
  });

  it('throws the reason of isSupported() without SIMD, and starts once SIMD is available', async () => {
    vi.stubGlobal('WebAssembly', { ...WebAssembly, validate: () => false });
    const support = await isSupported();
    expect(support).toMatchObject({ supported: false, reason: expect.stringContaining('SIMD') });
    await expect(activate()).rejects.toEqual(code('WASM_UNSUPPORTED'));
    vi.unstubAllGlobals();
    await activate();
    expect(tf.getBackend()).toBe('wasm');
  });
});

describe('isSupported', () => {
  it('returns true here, and never throws', async () => {
    expect(await isSupported()).toEqual({ supported: true });
    vi.stubGlobal('WebAssembly', undefined);
    expect(await isSupported()).toMatchObject({ supported: false, help: expect.any(String) });
    vi.stubGlobal('WebAssembly', {
      validate: () => {
        throw new Error('blocked');
      },
    });
    expect(await isSupported()).toMatchObject({ supported: false, help: expect.any(String) });
  });
});

it('names the policy that forbids WebAssembly', async () => {
  const refused = new WebAssembly.CompileError('the policy forbids it');
  const forbidding = (...names: ('compile' | 'instantiate')[]) => {
    for (const name of names) vi.spyOn(WebAssembly, name).mockRejectedValue(refused);
  };
  forbidding('compile', 'instantiate');
  const reason = expect.stringContaining('the policy forbids it');
  expect(await isSupported()).toMatchObject({ supported: false, reason, help: expect.any(String) });
  await expect(activate()).rejects.toMatchObject({ code: 'WASM_UNSUPPORTED', message: reason });
  vi.restoreAllMocks();
  // A later failure is reported too, and nothing is printed.
  forbidding('compile');
  await expect(activate()).rejects.toMatchObject({ code: 'WASM_FAILED', message: reason, cause: refused });
  vi.restoreAllMocks();
  expect(tf.getBackend()).toBe('cpu');
  await activate();
  expect(tf.getBackend()).toBe('wasm');
});

it('uses one thread if shared memory is refused, and adds a note', async () => {
  for (const refusal of [new RangeError('could not allocate memory'), 'out of memory']) {
    class Memory extends WebAssembly.Memory {
      constructor(descriptor: WebAssembly.MemoryDescriptor) {
        if (descriptor.shared) throw refusal;
        super(descriptor);
      }
    }
    vi.spyOn(WebAssembly, 'Memory').mockImplementation(Memory);
    const { threads, notes } = await activate({ threads: 2 });
    vi.restoreAllMocks();
    expect(threads).toBe(1);
    expect(notes).toEqual([expect.stringMatching(/memory that threads share is refused here: .*memory/)]);
    expect(tf.tidy(() => tf.sum(tf.ones([3, 4]), 0).dataSync())).toEqual(new Float32Array([3, 3, 3, 3]));
    await deactivate();
  }
});

describe('deactivate', () => {
  it('leaves tensors that can be disposed of, but throw a coded error when read', async () => {
    await activate();
    const x = tf.ones([2]);
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

  it('runs in order with activate() in simultaneous calls', async () => {
    await activate();
    await Promise.all([deactivate(), deactivate()]);
    expect(tf.getBackend()).toBe('cpu');
    await Promise.all([activate(), deactivate(), activate()]);
    expect(tf.getBackend()).toBe('wasm');
    expect(tf.add(1, 2).dataSync()[0]).toBe(3);
    await Promise.all([deactivate(), activate({ threads: 1 }), activate()]);
    expect(tf.getBackend()).toBe('wasm');
    expect(tf.getKernel('Conv2DBackpropFilter', 'wasm')).toBeDefined();
  });

  it('restores the stock backend of this name if it was current', async () => {
    const { BackendWasm } = await import('@tensorflow/tfjs-backend-wasm');
    const stock = async () => new BackendWasm(await loadStock(reader(), false));
    tf.registerBackend('wasm', stock, 2);
    await tf.setBackend('wasm');
    await activate();
    await deactivate();
    expect(tf.getBackend()).toBe('wasm');
    expect(tf.findBackendFactory('wasm')).toBe(stock);
    expect(tf.tidy(() => tf.add(1, 2).dataSync()[0])).toBe(3);
    tf.removeBackend('wasm');
    await tf.setBackend('cpu');
  });

  it('restores the previous backend and every stock kernel, and allows another activate()', async () => {
    await activate();
    await deactivate();
    expect(tf.getBackend()).toBe('cpu');
    expect(tf.getKernel('Conv2DBackpropFilter', 'wasm')).toBeUndefined();
    const stock = tf.getKernel('Sum', 'wasm');
    expect(stock).toBeDefined();

    await activate();
    expect(tf.getKernel('Sum', 'wasm')).not.toBe(stock);
    expect(tf.sum(tf.ones([3, 4]), 0).dataSync()).toEqual(new Float32Array([3, 3, 3, 3]));
    await deactivate();
    expect(tf.getKernel('Sum', 'wasm')).toBe(stock);
  });
});

/** A small net with one of each layer whose gradient needs a kernel of this package, the same at every call. */
function smallNet(): Sequential {
  const kernelInitializer = 'zeros';
  const model = sequential({
    layers: [
      layers.conv2d({
        inputShape: [8, 8, 3],
        filters: 6,
        kernelSize: 3,
        strides: 1,
        padding: 'same',
        activation: 'relu',
        kernelInitializer,
      }),
      layers.batchNormalization(),
      layers.maxPooling2d({ poolSize: 2 }),
      layers.depthwiseConv2d({ kernelSize: 3, depthMultiplier: 2, padding: 'same', depthwiseInitializer: 'zeros' }),
      layers.conv2d({ filters: 8, kernelSize: 3, strides: 2, padding: 'same', activation: 'relu', kernelInitializer }),
      layers.averagePooling2d({ poolSize: 2 }),
      layers.flatten(),
      layers.dense({ units: 10, activation: 'tanh', kernelInitializer }),
      layers.dense({ units: 4, activation: 'softmax', kernelInitializer }),
    ],
  });
  model.setWeights(
    model
      .getWeights()
      .map((w, i) =>
        tf.tidy(() =>
          w.rank > 1 ? tf.mul(tf.sin(tf.reshape(tf.range(i, i + w.size * 3, 3), w.shape)), 0.4) : w.clone(),
        ),
      ),
  );
  model.compile({ optimizer: 'sgd', loss: 'categoricalCrossentropy' });
  return model;
}

const batch = (): [tf.Tensor, tf.Tensor] => [
  tf.reshape(tf.sin(tf.range(0, 16 * 192)), [16, 8, 8, 3]),
  tf.oneHot(
    tf.tensor1d(
      Array.from({ length: 16 }, (_, i) => i % 4),
      'int32',
    ),
    4,
  ),
];

describe('training', () => {
  it('has the losses of the cpu backend', async () => {
    const losses: number[][] = [];
    for (const name of ['cpu', 'wasm']) {
      if (name === 'wasm') await activate();
      const model = smallNet();
      const [x, y] = batch();
      const steps: number[] = [];
      for (let step = 0; step < 3; step++) steps.push((await model.trainOnBatch(x, y)) as number);
      losses.push(steps);
      model.dispose();
      tf.dispose([x, y]);
    }
    const [cpu, wasm] = losses as [number[], number[]];
    expect(cpu[2]).toBeLessThan(cpu[0]!);
    wasm.forEach((loss, i) => {
      expect(Math.abs(loss - cpu[i]!)).toBeLessThan(1e-4);
    });
  });

  it('keeps the number of tensors, buffers and bytes constant over 300 steps', async () => {
    await activate({ threads: 1 });
    const model = smallNet();
    const [x, y] = batch();
    const storage = tf.backend() as unknown as { numDataIds(): number; wasm: { HEAPU8: Uint8Array } };
    const held = () => [tf.memory().numTensors, storage.numDataIds(), storage.wasm.HEAPU8.byteLength];
    const train = async (steps: number) => {
      for (let step = 0; step < steps; step++) await model.trainOnBatch(x, y);
    };
    await train(5);
    const before = held();
    await train(300);
    expect(held()).toEqual(before);
    model.dispose();
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
    for (const options of ['{}', '{ threads: 1 }', '{ threads: 4 }']) {
      const script = `
        import * as tf from '@tensorflow/tfjs-core';
        import { layers, sequential } from '@tensorflow/tfjs-layers';
        import { activate } from '@ghl/backend-wasm';
        await activate(${options});
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
    }
  });
});
