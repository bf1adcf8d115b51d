/** What every runtime must do. Runs in each Node, and bundled in a page: see matrix.test.ts. */
import { backend, type WasmOptions } from '@ghl/backend-wasm';
import { backendCases, failures } from '@ghl/conformance';
import type { ActiveBackend } from '@ghl/core';
import { plasticity } from '@ghl/learner';
import { deepHebbSmall } from '@ghl/models';
import { ghl } from '@ghl/recipes';
import * as tf from '@tensorflow/tfjs-core';

/** What came out. */
export interface Report {
  /** What `activate()` got. */
  readonly got: ActiveBackend;
  /** The loss of each of a few steps. */
  readonly losses: readonly number[];
  /** The same after `deactivate()` and `activate()`. */
  readonly again: readonly number[];
  /** What the backend's conformance cases found wrong with its kernels. */
  readonly failed: readonly string[];
}

/** Activates, trains, holds the kernels against float64, deactivates, and does it again. */
export async function smoke(options: WasmOptions = {}): Promise<Report> {
  const adapter = { ...backend, activate: () => backend.activate(options) };
  const got = await adapter.activate();
  const losses = await train();
  const failed = (await failures(backendCases(adapter))).map(({ id, error }) => `${id}: ${error}`);
  await adapter.deactivate();
  await adapter.activate();
  const again = await train();
  await adapter.deactivate();
  return { got, losses, again, failed };
}

/** Six steps of GHL on two waves for each of ten classes. */
async function train(): Promise<number[]> {
  const count = 20;
  const model = deepHebbSmall({ seed: 1 });
  const optimizer = plasticity(model, ghl('deephebb-small', { steps: 100 }));
  model.compile({ optimizer, loss: 'categoricalCrossentropy' });
  const wave = Float32Array.from({ length: count * 3072 }, (_, i) => Math.sin(i * (1 + (Math.floor(i / 3072) % 10))));
  const x = tf.tensor4d(wave, [count, 32, 32, 3]);
  const labels = Array.from({ length: count }, (_, i) => i % 10);
  const y = tf.tidy(() => tf.oneHot(tf.tensor1d(labels, 'int32'), 10));
  const losses: number[] = [];
  for (let step = 0; step < 6; step++) losses.push((await model.trainOnBatch(x, y)) as number);
  optimizer.dispose();
  model.dispose();
  tf.dispose([x, y]);
  return losses;
}
