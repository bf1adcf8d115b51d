import '@tensorflow/tfjs-backend-cpu';
import type { GhlError } from '@ghl/core';
import type { BackendWasm } from '@tensorflow/tfjs-backend-wasm';
import * as tf from '@tensorflow/tfjs-core';
import { layers, sequential } from '@tensorflow/tfjs-layers';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { activate, deactivate } from './index.js';
import { GuardedMemory } from './memory.js';

const { Memory } = WebAssembly;

/** The limit of the memory in these tests, in MiB. */
const most = 96;

beforeEach(async () => {
  await tf.setBackend('cpu');
  WebAssembly.Memory = class extends Memory {
    constructor(descriptor: WebAssembly.MemoryDescriptor) {
      super({ ...descriptor, maximum: most * 16 });
    }
  };
  await activate({ threads: 2 });
  tf.engine().startScope();
});
afterEach(async () => {
  tf.engine().endScope();
  await deactivate();
  WebAssembly.Memory = Memory;
});

function refusal(run: () => unknown): GhlError {
  try {
    run();
  } catch (error) {
    return error as GhlError;
  }
  throw new Error('Nothing was refused.');
}

const held = () => [tf.memory().numTensors, (tf.backend() as unknown as { numDataIds(): number }).numDataIds()];

it('names the tensor that does not fit and a batch that may, and still computes afterwards', () => {
  const convolve = (batch: number) => {
    const y = tf.conv2d(tf.ones<tf.Rank.R4>([batch, 16, 16, 4]), tf.ones<tf.Rank.R4>([3, 3, 4, 64]), 1, 'same');
    return tf.slice(y, [batch - 1, 8, 8, 0], [1, 1, 1, 1]).dataSync()[0];
  };
  const before = held();
  const error = refusal(() => tf.tidy(() => convolve(2000)));
  expect(error).toMatchObject({ name: 'UnsupportedError', code: 'OUT_OF_MEMORY' });
  expect(error.message).toMatch(
    /a tensor of shape \[2000, 16, 16, 64\] \(125 MiB in one piece\).* and \d+ MiB are in use/,
  );
  expect(error.help).toMatch(/if 2000 is the batch, use at most 1024/);
  expect(held()).toEqual(before);
  expect(tf.tidy(() => convolve(1024))).toBe(36);
});

it('throws for a size of more than 32 bits', () => {
  const column = tf.ones<tf.Rank.R2>([70_000, 1]);
  const error = refusal(() => tf.matMul(column, column, false, true));
  expect(error.code).toBe('OUT_OF_MEMORY');
  expect(error.message).toContain('[70000, 70000] (18,693 MiB in one piece)');
});

it('skips a block that ends beyond the memory, and frees it', () => {
  const high = 0xf000_0000;
  const answers = [8, high, 4096];
  const freed: number[] = [];
  const wasm = {
    HEAPU8: { length: high + 1000 },
    _malloc: () => answers.shift(),
    _free: (address: number) => freed.push(address),
  };
  new GuardedMemory({ wasm, move: () => {} } as unknown as BackendWasm);
  expect((wasm._malloc as (bytes: number) => number)(2000)).toBe(4096);
  expect(freed).toEqual([8, high]);
});

it('names the kernel whose intermediate results do not fit', () => {
  // The transformed weights need four times the 9 MiB of the weights.
  const filter = tf.ones<tf.Rank.R4>([3, 3, 512, 512]);
  const ballast = tf.tidy(() => tf.ones([60 * 1024, 256]));
  const x = tf.ones<tf.Rank.R4>([16, 8, 8, 512]);
  const before = held();
  const error = refusal(() => tf.conv2d(x, filter, 1, 'same'));
  expect(error).toMatchObject({ code: 'OUT_OF_MEMORY' });
  expect(error.message).toMatch(/the intermediate results of Conv2D for shape \[/);
  // Its result, which exists by then, is freed.
  expect(held()).toEqual(before);
  ballast.dispose();
  expect(tf.max(tf.conv2d(x, filter, 1, 'same')).dataSync()[0]).toBe(9 * 512);
});

it('leaves a model unchanged if a step does not fit', async () => {
  const model = sequential({
    layers: [
      layers.conv2d({ inputShape: [16, 16, 4], filters: 32, kernelSize: 3, padding: 'same', activation: 'relu' }),
      layers.flatten(),
      layers.dense({ units: 2, activation: 'softmax' }),
    ],
  });
  model.compile({ optimizer: 'sgd', loss: 'categoricalCrossentropy' });
  const step = (batch: number) => {
    const [x, y] = [tf.ones([batch, 16, 16, 4]), tf.tidy(() => tf.oneHot(tf.zeros([batch], 'int32'), 2))];
    return model.trainOnBatch(x, y).finally(() => tf.dispose([x, y]));
  };
  const weights = () => model.getWeights().map((weight) => weight.dataSync());
  await step(4);
  const [before, count] = [weights(), held()];

  // In the forward pass and in the backward pass.
  for (const batch of [1500, 900]) {
    await expect(step(batch)).rejects.toMatchObject({ code: 'OUT_OF_MEMORY' });
    expect(held()).toEqual(count);
    expect(weights()).toEqual(before);
  }
  expect(await step(64)).toBeGreaterThan(0);
  expect(held()).toEqual(count);
  model.dispose();
});
