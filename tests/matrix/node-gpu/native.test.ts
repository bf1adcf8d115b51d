/** The tests of native TensorFlow in a project that has installed it. ../node-gpu.test.ts runs them there. */
import util from 'node:util';
import { backend } from '@ghl/backend-node-gpu';
import { backend as wasm } from '@ghl/backend-wasm';
import { register as registerOptimizers } from '@ghl/learner';
import { register as registerLayers } from '@ghl/models';
import { sign } from '@ghl/modulator-sign';
import { swta } from '@ghl/rule-swta';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { everyProduct } from '../../every-product.js';
import { dispose, fresh, steps, take, train } from '../../same-training.js';

/** The tensors in native memory. */
const held = () => (tf.backend() as unknown as { binding: { getNumOfTensors(): number } }).binding.getNumOfTensors();

it('reports its device, its versions and the functions of Node that it restored', async () => {
  const { versions, driver, threads, notes } = await backend.activate();
  expect(versions).toMatchObject({ '@tensorflow/tfjs-node': '4.22.0', node: process.versions.node });
  expect(driver).toBe('libtensorflow 2.18.1');
  expect(threads).toBeGreaterThan(0);
  expect('isNullOrUndefined' in util).toBe(true);
  await backend.deactivate();
  // Node 23 removed the function.
  const removed = !('isNullOrUndefined' in util);
  expect(removed).toBe(Number(process.versions.node.split('.')[0]) >= 23);
  expect(notes).toEqual(removed ? [expect.stringContaining('util.isNullOrUndefined')] : []);
});

describe('every product', () => everyProduct(backend, { sampled: false, steps: 100 }));

describe('compared with WebAssembly', () => {
  let expected: readonly number[];
  let artifacts: tf.io.ModelArtifacts = {};

  beforeAll(async () => {
    registerOptimizers({ sign, swta });
    registerLayers();
    await wasm.activate();
    expected = await train();
    const model = fresh();
    await take(steps / 2, model);
    const handler = tf.io.withSaveHandler(async (savedArtifacts) => {
      artifacts = savedArtifacts;
      return { modelArtifactsInfo: { dateSaved: new Date(0), modelTopologyType: 'JSON' } };
    });
    await model.save(handler, { includeOptimizer: true });
    dispose(model);
    await wasm.deactivate();
    await backend.activate();
  });
  afterAll(() => backend.deactivate());

  const alike = (losses: readonly number[], expected: readonly number[]) => {
    expect(losses).toHaveLength(expected.length);
    for (const [i, loss] of losses.entries()) expect(Math.abs(loss / expected[i]! - 1)).toBeLessThan(1e-3);
  };

  it('gives the same losses, and leaks no native memory', async () => {
    alike(await train(), expected);
    const before = held();
    await train();
    expect(held()).toBe(before);
  });

  it('resumes training that WebAssembly saved', async () => {
    const model = await tfl.loadLayersModel(tf.io.fromMemory(artifacts));
    alike(await take(steps / 2, model), expected.slice(steps / 2));
    dispose(model);
  });
});

describe('explicit padding', () => {
  beforeAll(async () => {
    await backend.activate();
  });
  afterAll(() => backend.deactivate());

  const drawn = (shape: number[], seed: number) => tf.randomNormal(shape, 0, 1, 'float32', seed);
  const x = () => drawn([2, 7, 6, 3], 1) as tf.Tensor4D;
  const filter = () => drawn([3, 2, 3, 2], 2) as tf.Tensor4D;
  type Map = (x: tf.Tensor4D, filter: tf.Tensor4D) => tf.Tensor4D;
  const maps: Record<string, Map> = {
    'conv2d, one number': (x, filter) => tf.conv2d(x, filter, 1, 1),
    'conv2d, rounded up': (x, filter) => tf.conv2d(x, filter, 2, 1, 'NHWC', 1, 'ceil'),
    'conv2d, uneven': (x, filter) =>
      tf.conv2d(
        x,
        filter,
        [2, 1],
        [
          [0, 0],
          [1, 2],
          [0, 1],
          [0, 0],
        ],
      ),
    depthwise: (x, filter) => tf.depthwiseConv2d(x, filter, 1, 1),
    'max pool': (x) => tf.maxPool(x, 4, 2, 1),
    'average pool': (x) => tf.avgPool(x, 3, 2, 1),
  };
  const inner = (a: tf.Tensor, b: tf.Tensor) => tf.sum(tf.mul(a, b)).dataSync()[0] as number;

  it.each(Object.entries(maps))('%s equals the CPU backend, and its gradients are adjoint', async (name, map) => {
    const values = () => tf.tidy(() => map(x(), filter()).dataSync().slice());
    // The package includes it.
    await tf.setBackend('cpu');
    const expected = values();
    await tf.setBackend('tensorflow');
    const before = held();
    for (const [i, value] of values().entries()) expect(Math.abs(value - expected[i]!)).toBeLessThan(1e-5);
    tf.tidy(() => {
      const y = map(x(), filter());
      const dy = drawn(y.shape, 3);
      const gradients = name.endsWith('pool')
        ? [tf.grad((each) => map(each as tf.Tensor4D, filter()))(x(), dy)]
        : tf.grads((...each) => map(...(each as [tf.Tensor4D, tf.Tensor4D])))([x(), filter()], dy);
      for (const [i, gradient] of gradients.entries()) {
        expect(inner([x(), filter()][i]!, gradient)).toBeCloseTo(inner(y, dy), 3);
      }
    });
    expect(held()).toBe(before);
  });
});
