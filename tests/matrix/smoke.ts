/** The requirements of every backend in every runtime. Runs in each Node, and bundled in a page. */
import { backendCases, failures } from '@ghl/conformance';
import type { ActiveBackend, BackendAdapter } from '@ghl/core';
import { plasticOptimizer } from '@ghl/learner';
import { networks } from '@ghl/models';
import { ghl } from '@ghl/recipes';
import * as tf from '@tensorflow/tfjs-core';

/** The report of a run. */
export interface Report {
  /** The result of `activate()`. */
  readonly got: ActiveBackend;
  /** The loss of each step. */
  readonly losses: readonly number[];
  /** The losses after `deactivate()` and `activate()`. */
  readonly again: readonly number[];
  /** The number of conformance cases, and the failed ones. */
  readonly cases: number;
  readonly failed: readonly string[];
  /** Kernels that the steps called, with the dtypes of their inputs. */
  readonly kernels: Readonly<Record<string, readonly string[]>>;
}

/**
 * Activates, trains, compares the kernels with float64, deactivates, and trains again with recorded kernels.
 *
 * @param compared The start of the ids of the conformance cases that run. Default: all.
 */
export async function smoke(backend: BackendAdapter, options: object = {}, compared = ''): Promise<Report> {
  const adapter = { ...backend, activate: () => backend.activate(options) };
  const got = await adapter.activate();
  const losses = await train();
  const cases = backendCases(adapter).filter(({ id }) => id.startsWith(compared));
  const failed = (await failures(cases)).map(({ id, error }) => `${id}: ${error}`);
  await adapter.deactivate();
  await adapter.activate();
  const kernels: Record<string, string[]> = {};
  const release = watch(kernels);
  const again = await train();
  release();
  await adapter.deactivate();
  return { got, losses, again, cases: cases.length, failed, kernels };
}

/** Records every kernel call until the recording is stopped. */
function watch(called: Record<string, string[]>): () => void {
  const backend = tf.getBackend();
  const kernels = tf.getKernelsForBackend(backend);
  const replace = (kernel: tf.KernelConfig) => {
    tf.unregisterKernel(kernel.kernelName, backend);
    tf.registerKernel(kernel);
  };
  for (const kernel of kernels) {
    const { kernelName, kernelFunc } = kernel;
    const noted: tf.KernelFunc = (call) => {
      const dtypes = Object.values(call.inputs)
        .flat()
        .flatMap((input) => input?.dtype ?? []);
      called[kernelName] = [...new Set([...(called[kernelName] ?? []), ...dtypes])].sort();
      return kernelFunc(call);
    };
    replace({ ...kernel, kernelFunc: noted });
  }
  return () => {
    for (const kernel of kernels) replace(kernel);
  };
}

/** Makes six steps of GHL on two waves for each of ten classes. */
async function train(): Promise<number[]> {
  const count = 20;
  const { build, constants } = networks['deephebb-small'];
  const model = build({ inputShape: [16, 16, 3], seed: 1 });
  const optimizer = plasticOptimizer(model, ghl({ ...constants, steps: 100 }));
  model.compile({ optimizer, loss: 'categoricalCrossentropy' });
  const wave = Float32Array.from({ length: count * 768 }, (_, i) => Math.sin(i * (1 + (Math.floor(i / 768) % 10))));
  const x = tf.tensor4d(wave, [count, 16, 16, 3]);
  const labels = Array.from({ length: count }, (_, i) => i % 10);
  const y = tf.tidy(() => tf.oneHot(tf.tensor1d(labels, 'int32'), 10));
  const losses: number[] = [];
  for (let step = 0; step < 6; step++) losses.push((await model.trainOnBatch(x, y)) as number);
  optimizer.dispose();
  model.dispose();
  tf.dispose([x, y]);
  return losses;
}
