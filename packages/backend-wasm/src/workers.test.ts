/** The life of threads: they start with activate(), sleep without work, are reported when they die, and end. */
import { once } from 'node:events';
import '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { activate, deactivate } from './index.js';
import { bareStock } from './module.fixture.js';
import { KernelModule } from './module.js';
import type { StockModule } from './stock-module.js';

const threads = process.getBuiltinModule('node:worker_threads');
const { Worker } = threads;

/** The workers that a test has started, and the number of those that have ended. */
let started: InstanceType<typeof Worker>[];
let ended: number;

beforeEach(async () => {
  await tf.setBackend('cpu');
  started = [];
  ended = 0;
  threads.Worker = class extends Worker {
    constructor(...parameters: ConstructorParameters<typeof Worker>) {
      super(...parameters);
      started.push(this);
      this.once('exit', () => ended++);
    }
  };
});
afterEach(async () => {
  threads.Worker = Worker;
  await deactivate();
});

const lost = expect.objectContaining({ name: 'StateError', code: 'WORKER_LOST', help: expect.any(String) });

/** A product that all threads share. */
const compute = () =>
  tf.tidy(() => {
    const x = tf.reshape(tf.range(0, 65_536), [256, 256]);
    return tf.matMul(x, x, false, true).dataSync()[65_535];
  });

it('threads start with activate() and end with deactivate(), which frees the memory, repeatedly', async () => {
  const memories: WeakRef<object>[] = [];
  for (let cycle = 1; cycle <= 20; cycle++) {
    expect((await activate({ threads: 3 })).threads).toBe(3);
    expect([started.length, ended]).toEqual([2 * cycle, 2 * (cycle - 1)]);
    const { wasm } = tf.backend() as unknown as { wasm: StockModule };
    memories.push(new WeakRef(wasm.wasmMemory as object));
    compute();
    await deactivate();
    expect(ended).toBe(2 * cycle);
  }
  process.getBuiltinModule('node:v8').setFlagsFromString('--expose-gc');
  const collect = process.getBuiltinModule('node:vm').runInNewContext('gc') as () => void;
  await new Promise(setImmediate);
  collect();
  // The last memory may still be on the stack.
  expect(memories.filter((memory) => memory.deref() !== undefined).length).toBeLessThanOrEqual(1);
});

it('threads use no processor time without work', async () => {
  await activate({ threads: 4 });
  compute();
  await new Promise((resolve) => setTimeout(resolve, 100));
  const before = process.cpuUsage();
  await new Promise((resolve) => setTimeout(resolve, 300));
  const { user, system } = process.cpuUsage(before);
  // Three spinning threads would use 600 ms of two cores.
  expect((user + system) / 1000).toBeLessThan(150);
});

describe('a thread that dies', () => {
  it('between kernels causes an error at the next kernel, until the backend is activated again', async () => {
    await activate({ threads: 3 });
    const expected = compute();
    await Promise.all([once(started[0]!, 'exit'), started[0]!.terminate()]);
    expect(compute).toThrow(lost);
    expect(compute).toThrow(lost);
    await deactivate();
    expect(ended).toBe(2);
    await activate({ threads: 3 });
    expect(compute()).toBe(expected);
  });

  it('delays no kernel while the backend does not know it yet', async () => {
    await activate({ threads: 2 });
    const expected = compute();
    void started[0]!.terminate();
    expect(compute()).toBe(expected);
  });

  /**
   * A module with two threads, a product of many tasks, and the block that the threads share (see
   * assembly/threads.ts).
   */
  async function product() {
    const { stock, memory } = bareStock(true);
    const module = await KernelModule.load(stock, { threads: 2, variant: undefined, winograd: true });
    const size = 300;
    const [a, b, c] = [1, 2, 3].map(() => stock._malloc(4 * size * size)) as [number, number, number];
    const run = (times: number) => {
      for (let i = 0; i < times; i++) module.product(a, b, c, [size, size, size], [false, false]);
    };
    return { memory, control: new Int32Array(memory.buffer, 1024), module, run };
  }

  it('by an error in a kernel causes an error that names it', async () => {
    const { memory, control, module, run } = await product();
    run(1);
    // The arena ends with the part of the worker. Move it so that this part is beyond the memory.
    const [arena, shared, own] = [10, 12, 13];
    control[arena] = memory.buffer.byteLength - control[shared]! - control[own]!;
    // Repeats until the worker is fast enough to take a task.
    expect(() => run(1000)).toThrow(lost);
    await vi.waitUntil(() => ended === 1);
    expect(() => run(1)).toThrow(/out of bounds/);
    await module.dispose();
  });

  it('silently in a kernel is detected when its task has not finished for ten seconds', async () => {
    const { memory, module, run } = await product();
    // Takes one task, as a thread does, and ends.
    const thief = new Worker(
      `const { workerData, parentPort } = require('node:worker_threads');
      const [ticket, count] = [new BigInt64Array(workerData.buffer, 1024, 1), new Int32Array(workerData.buffer, 1040, 1)];
      parentPort.postMessage('ready');
      for (;;) {
        const next = Atomics.load(ticket, 0);
        if (Number(next & 0xffffffffn) >= Atomics.load(count, 0)) continue;
        if (Atomics.compareExchange(ticket, 0, next, next + 1n) === next) break;
      }`,
      { eval: true, workerData: memory },
    );
    await once(thief, 'message');
    expect(() => run(1000)).toThrow(lost);
    expect(() => run(1)).toThrow(lost);
    await module.dispose();
  });
});
