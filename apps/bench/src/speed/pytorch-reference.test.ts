/** The reference is correct: from the same weights, its step equals ours. Skipped without PyTorch. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { activate } from '@ghl/backend-wasm';
import { UnsupportedError } from '@ghl/core';
import { plasticOptimizer } from '@ghl/learner';
import { assignmentOf, buildNetwork, trainingStep } from '@ghl/race';
import * as tf from '@tensorflow/tfjs-core';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { type Batches, batchAt, loadBatches } from './batches.js';
import { SCHEDULED_STEPS } from './candidate.js';
import { PyTorchReference, type Variant } from './pytorch-reference.js';

let batches: Batches;
let missing: string | null = null;

beforeAll(async () => {
  await activate({ threads: 1 });
  batches = await loadBatches({}, 8);
  try {
    await (await PyTorchReference.start()).close();
  } catch (error) {
    if (!(error instanceof UnsupportedError)) throw error;
    missing = error.code;
    process.stderr.write(`left out, ${error.code}: the comparison of a step with PyTorch's\n`);
  }
});

async function weightsOf(model: LayersModel): Promise<Record<string, Float32Array[]>> {
  const weights: Record<string, Float32Array[]> = {};
  for (const { name, trainableWeights } of model.layers) {
    if (trainableWeights.length === 0 || name.startsWith('bn')) continue;
    weights[name] = await Promise.all(
      trainableWeights.map(async (weight) => Float32Array.from(await weight.read().data())),
    );
  }
  return weights;
}

const minus = (a: Float32Array, b: Float32Array) => a.map((value, i) => value - (b[i] as number));
const largest = (values: Float32Array) => values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);

describe('a step of the PyTorch reference', () => {
  const variants: [Variant, string][] = [
    ['backprop', 'backprop'],
    ['ghlPublished', 'ghl'],
    ['ghlGradient', 'ghl'],
  ];
  const pairs = ['deephebb-small', 'fasthebb-small'].flatMap((network) =>
    variants.map((variant) => [network, ...variant] as const),
  );

  it.for(pairs)('of %s by %s is a step of ours by %s', async ([network, variant, recipe], { skip }) => {
    if (missing !== null) skip(missing);
    const model = buildNetwork(network, batches, 0);
    model.getLayer('dropout').trainable = false; // its masks are not PyTorch's
    const optimizer = plasticOptimizer(model, assignmentOf({ name: recipe }, network, SCHEDULED_STEPS));
    const reference = await PyTorchReference.start();
    try {
      await reference.begin(model, network, batches, 1);
      const before = await weightsOf(model);
      const { xs, ys } = batchAt(batches, 0);
      const { loss, correct } = trainingStep(model, optimizer, xs, ys);
      expect((await reference.step(variant, 0)).loss).toBeCloseTo((await loss.data())[0] as number, 4);
      tf.dispose([xs, ys, loss, correct]);
      const [ours, theirs] = [await weightsOf(model), await reference.weights(variant)];
      expect(Object.keys(theirs)).toEqual(Object.keys(before));
      for (const [layer, start] of Object.entries(before)) {
        start.forEach((weight, i) => {
          const [a, b] = [minus(ours[layer]![i]!, weight), minus(theirs[layer]![i]!, weight)];
          const scale = largest(a);
          expect(scale).toBeGreaterThan(1e-6);
          // A gradient within rounding of 0 may have either sign, and takes that weight the other way.
          const apart = minus(a, b).filter((difference) => Math.abs(difference) > 2e-3 * scale);
          expect(apart.length / a.length, layer).toBeLessThan(variant === 'backprop' ? 1e-9 : 5e-3);
        });
      }
    } finally {
      await reference.close();
      optimizer.dispose();
      model.dispose();
    }
  });
});

describe('without PyTorch', () => {
  let folder: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'bench-'));
    await writeFile(join(folder, 'torch.py'), 'raise ImportError("a library of its is missing")\n');
  });

  afterAll(() => rm(folder, { recursive: true, force: true }));

  it('or without Python, throws a specific code, with help for the installation', async ({ skip }) => {
    vi.stubEnv('PATH', folder);
    await expect(PyTorchReference.start()).rejects.toMatchObject({
      code: 'NO_PYTHON',
      help: expect.stringContaining('pip install torch'),
    });
    vi.unstubAllEnvs();
    if (missing === 'NO_PYTHON') skip(missing);
    vi.stubEnv('PYTHONPATH', folder);
    await expect(PyTorchReference.start()).rejects.toMatchObject({
      code: 'NO_TORCH',
      message: expect.stringContaining('a library of its is missing'),
      help: expect.stringContaining('pip install torch'),
    });
    vi.unstubAllEnvs();
  });
});
