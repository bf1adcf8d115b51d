/** Training on every backend: equal losses to tolerance, and training saved on one backend resumes on another. */
import '../tools/vitest/software-gpu.js';
import { backend as wasm } from '@ghl/backend-wasm';
import { backend as webgpu } from '@ghl/backend-webgpu';
import { chain, gradientDescent, scaleBy } from '@ghl/core';
import { inspect, type LayerInspection } from '@ghl/evaluation';
import { plasticOptimizer, register as registerOptimizers } from '@ghl/learner';
import { register as registerLayers } from '@ghl/models';
import { sign } from '@ghl/modulator-sign';
import { swta } from '@ghl/rule-swta';
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
  registerOptimizers({ sign, swta });
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
  const handler = tf.io.withSaveHandler(async (savedArtifacts) => {
    artifacts = savedArtifacts;
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

it.each(['wasm', 'webgpu'])('gives the same losses for the same seed on %s as on the CPU', async (name) => {
  const expected = await onCpu();
  expect(expected.at(-1)).toBeLessThan(expected[0]! / 1.5);
  expectAlike(await on(name, train), expected);
});

it.each([
  ['wasm', 'webgpu'],
  ['webgpu', 'wasm'],
])('resumes training from a save on %s, on %s', async (from, to) => {
  const expected = await onCpu();
  const artifacts = await on(from, async () => {
    const model = fresh();
    await take(steps / 2, model);
    const actual = await saved(model);
    dispose(model);
    return actual;
  });
  await on(to, async () => {
    const model = await tfl.loadLayersModel(tf.io.fromMemory(artifacts));
    expectAlike(await take(steps / 2, model), expected.slice(steps / 2));
    dispose(model);
  });
});

/** Weights of a network of volumes after some steps. */
async function trainVolumes(ours: boolean): Promise<Float32Array[]> {
  const model = tfl.sequential({
    layers: [
      tfl.layers.conv3d({
        inputShape: [6, 5, 7, 2],
        filters: 4,
        kernelSize: [3, 2, 3],
        strides: [1, 1, 2],
        padding: 'same',
      }),
      tfl.layers.maxPooling3d({ poolSize: 2, strides: [2, 2, 1] }),
      tfl.layers.conv3d({ filters: 3, kernelSize: 2, activation: 'relu' }),
      tfl.layers.averagePooling3d({ poolSize: [1, 1, 2], strides: 1 }),
      tfl.layers.flatten(),
      tfl.layers.dense({ units: 2 }),
    ],
  });
  tf.tidy(() =>
    model.setWeights(model.getWeights().map(({ shape }, i) => tf.randomNormal(shape, 0, 0.3, 'float32', i + 1))),
  );
  const optimizer = ours ? plasticOptimizer(model, { '*': chain(gradientDescent(), scaleBy(0.1)) }) : tf.train.sgd(0.1);
  model.compile({ optimizer, loss: 'meanSquaredError' });
  const [x, y] = [tf.randomNormal([4, 6, 5, 7, 2], 0, 1, 'float32', 9), tf.randomNormal([4, 2], 0, 1, 'float32', 8)];
  for (let step = 0; step < 4; step++) await model.trainOnBatch(x, y);
  const weights = model.getWeights().map((weight) => weight.dataSync<'float32'>().slice());
  tf.dispose([x, y]);
  dispose(model);
  return weights;
}

it('trains a network of volumes to the same weights on wasm and on the CPU, with gradientDescent() and tf.train.sgd', async () => {
  const expected = await on('cpu', () => trainVolumes(false));
  for (const [name, ours] of [
    ['cpu', true],
    ['wasm', false],
    ['wasm', true],
  ] as const) {
    const weights = await on(name, () => trainVolumes(ours));
    for (const [i, weight] of weights.entries()) {
      const largest = Math.max(...expected[i]!.map(Math.abs));
      for (const [j, value] of weight.entries())
        expect(Math.abs(value - expected[i]![j]!) / largest).toBeLessThan(1e-4);
    }
  }
});

/** The measurements of a small network without training. */
async function inspected(): Promise<Readonly<Record<string, LayerInspection>>> {
  const kernelInitializer = (seed: number) => tfl.initializers.randomNormal({ stddev: 0.5, seed });
  const model = tfl.sequential({
    layers: [
      tfl.layers.conv2d({ filters: 4, kernelSize: 3, inputShape: [6, 6, 1], kernelInitializer: kernelInitializer(1) }),
      tfl.layers.reLU(),
      tfl.layers.flatten(),
      tfl.layers.dense({ units: 3, kernelInitializer: kernelInitializer(2) }),
    ],
  });
  const xs = tf.randomNormal([24, 6, 6, 1], 0, 1, 'float32', 3);
  const labels = tf.tensor1d(
    Array.from({ length: 24 }, (_, i) => i % 3),
    'int32',
  );
  const ys = tf.oneHot(labels, 3) as tf.Tensor2D;
  const before = tf.memory().numTensors;
  const inspection = await inspect(model, { train: { xs, ys }, test: { xs, ys }, batchSize: 9 });
  expect(tf.memory().numTensors).toBe(before);
  tf.dispose([xs, ys, labels]);
  model.dispose();
  return inspection;
}

it('measures the layers of a network alike on all backends', async () => {
  const expected = Object.values(await on('cpu', inspected));
  for (const name of ['wasm', 'webgpu']) {
    const layers = Object.values(await on(name, inspected));
    for (const [i, { norms, dead, winners, probe, neighbours, patches }] of layers.entries()) {
      const other = expected[i]!;
      expect([dead, probe, neighbours]).toEqual([other.dead, other.probe, other.neighbours]);
      expect(winners.entropy).toBeCloseTo(other.winners.entropy, 5);
      expect(norms!.mean).toBeCloseTo(other.norms!.mean, 5);
      expect(patches?.units.map((unit) => unit.patches[0]!.box)).toEqual(
        other.patches?.units.map((unit) => unit.patches[0]!.box),
      );
    }
  }
});
