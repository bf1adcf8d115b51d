/** The same training on every backend: the same losses to tolerance, and what is saved on one goes on on another. */
import '../tools/vitest/software-gpu.js';
import { backend as wasm } from '@ghl/backend-wasm';
import { backend as webgpu } from '@ghl/backend-webgpu';
import { register as registerOptimizers } from '@ghl/learner';
import { register as registerLayers } from '@ghl/models';
import '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { beforeAll, expect, it } from 'vitest';
import { dispose, fresh, steps, take, train } from './same-training.js';

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
  reference ??= on('cpu', train);
  return reference;
};

it.each(['wasm', 'webgpu'])('the same seed gives the same losses on %s as on the CPU', async (name) => {
  const expected = await onCpu();
  expect(expected.at(-1)).toBeLessThan(expected[0]! / 1.5);
  expectAlike(await on(name, train), expected);
});

it.each([
  ['wasm', 'webgpu'],
  ['webgpu', 'wasm'],
])('what was saved on %s goes on on %s', async (from, to) => {
  const expected = await onCpu();
  const artifacts = await on(from, async () => {
    const model = fresh();
    await take(steps / 2, model);
    const found = await saved(model);
    dispose(model);
    return found;
  });
  await on(to, async () => {
    const model = await tfl.loadLayersModel(tf.io.fromMemory(artifacts));
    expectAlike(await take(steps / 2, model), expected.slice(steps / 2));
    dispose(model);
  });
});
