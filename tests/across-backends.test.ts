/** The same training on every backend: the same losses to tolerance, and what is saved on one goes on on another. */
import '../tools/vitest/software-gpu.js';
import { backend as wasm } from '@ghl/backend-wasm';
import { backend as webgpu } from '@ghl/backend-webgpu';
import { plasticity, register as registerOptimizers } from '@ghl/learner';
import { deepHebbSmall, register as registerLayers } from '@ghl/models';
import { ghl } from '@ghl/recipes';
import '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { beforeAll, expect, it } from 'vitest';

const steps = 20;
const backends: Record<string, { activate(): Promise<unknown>; deactivate(): Promise<unknown> }> = {
  cpu: { activate: () => tf.setBackend('cpu'), deactivate: async () => {} },
  wasm,
  webgpu,
};

beforeAll(() => {
  registerOptimizers();
  registerLayers();
});

/** Runs `body` on a backend. */
async function on<T>(name: string, body: () => Promise<T>): Promise<T> {
  await backends[name]!.activate();
  expect(tf.getBackend()).toBe(name);
  try {
    return await body();
  } finally {
    await backends[name]!.deactivate();
  }
}

function fresh(): tfl.LayersModel {
  const model = deepHebbSmall({ inputShape: [16, 16, 3], classes: 4, seed: 1 });
  model.compile({
    optimizer: plasticity(model, ghl('deephebb-small', { steps: 100 })),
    loss: 'categoricalCrossentropy',
  });
  return model;
}

/** The losses of steps on four noisy images, one of each class; the model is disposed of after them, or saved before. */
async function train(model: tfl.LayersModel, count: number): Promise<number[]> {
  const x = tf.randomNormal([4, 16, 16, 3], 0, 1, 'float32', 1);
  const y = tf.tidy(() => tf.oneHot(tf.tensor1d([0, 1, 2, 3], 'int32'), 4));
  const losses: number[] = [];
  for (let step = 0; step < count; step++) losses.push((await model.trainOnBatch(x, y)) as number);
  tf.dispose([x, y]);
  return losses;
}

function dispose(model: tfl.LayersModel): void {
  model.optimizer.dispose();
  model.dispose();
}

async function saved(model: tfl.LayersModel): Promise<tf.io.ModelArtifacts> {
  let artifacts: tf.io.ModelArtifacts = {};
  const handler = tf.io.withSaveHandler(async (given) => {
    artifacts = given;
    return { modelArtifactsInfo: { dateSaved: new Date(0), modelTopologyType: 'JSON' } };
  });
  await model.save(handler, { includeOptimizer: true });
  return artifacts;
}

function expectAlike(losses: readonly number[], expected: readonly number[]): void {
  expect(losses).toHaveLength(expected.length);
  for (const [step, loss] of losses.entries()) {
    expect(Math.abs(loss / expected[step]! - 1), `step ${step}: ${loss} for ${expected[step]}`).toBeLessThan(1e-3);
  }
}

let reference: Promise<readonly number[]> | undefined;
const onCpu = () => {
  reference ??= on('cpu', async () => {
    const model = fresh();
    const losses = await train(model, steps);
    dispose(model);
    return losses;
  });
  return reference;
};

it.each(['wasm', 'webgpu'])('the same seed gives the same losses on %s as on the CPU', async (name) => {
  const expected = await onCpu();
  expect(expected.at(-1)).toBeLessThan(expected[0]! / 2);
  await on(name, async () => {
    const model = fresh();
    expectAlike(await train(model, steps), expected);
    dispose(model);
  });
});

it.each([
  ['wasm', 'webgpu'],
  ['webgpu', 'cpu'],
  ['cpu', 'webgpu'],
])('what was saved on %s goes on on %s', async (from, to) => {
  const expected = await onCpu();
  const artifacts = await on(from, async () => {
    const model = fresh();
    await train(model, steps / 2);
    const found = await saved(model);
    dispose(model);
    return found;
  });
  await on(to, async () => {
    const model = await tfl.loadLayersModel(tf.io.fromMemory(artifacts));
    expectAlike(await train(model, steps / 2), expected.slice(steps / 2));
    dispose(model);
  });
});
