/** A step with the backend's fused kernels equals the step without them, for every kind of plasticity. */
import { activate, deactivate } from '@ghl/backend-wasm';
import {
  bounds,
  chain,
  clipByValue,
  constant,
  decayWeights,
  gradientDescent,
  local,
  maxAbs,
  normalizeUnits,
  type Plasticity,
  power,
  rms,
  scaleBy,
  type Transform,
  threeFactor,
  unitNorm,
  unitStep,
} from '@ghl/core';
import { BATCH_NORM, BATCH_NORM_GRADIENT, DROPOUT, FILTER_GRADIENTS, FUSED_UPDATE, OVERLAP } from '@ghl/core/backend';
import { plasticOptimizer } from '@ghl/learner';
import { batchNorm, dropout } from '@ghl/models';
import { sign } from '@ghl/modulator-sign';
import { bcm } from '@ghl/rule-bcm';
import { hpca } from '@ghl/rule-hpca';
import { oja } from '@ghl/rule-oja';
import { swta } from '@ghl/rule-swta';
import * as tf from '@tensorflow/tfjs-core';
import { initializers, layers, type Sequential, sequential } from '@tensorflow/tfjs-layers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

beforeAll(async () => {
  await activate({ threads: 2 });
});
afterAll(deactivate);

const fused = [FILTER_GRADIENTS, FUSED_UPDATE, BATCH_NORM, BATCH_NORM_GRADIENT, OVERLAP, DROPOUT];

/** Runs `body` without some kernels, and adds the names of called kernels to a set. */
function withKernels<T>(missing: readonly string[], called: Set<string>, body: () => T): T {
  const kernels = fused.map((name) => tf.getKernel(name, 'wasm'));
  for (const kernel of kernels) {
    tf.unregisterKernel(kernel.kernelName, 'wasm');
    if (missing.includes(kernel.kernelName)) continue;
    const kernelFunc: tf.KernelFunc = (call) => {
      called.add(kernel.kernelName);
      return kernel.kernelFunc(call);
    };
    tf.registerKernel({ ...kernel, kernelFunc });
  }
  try {
    return body();
  } finally {
    for (const kernel of kernels) {
      if (!missing.includes(kernel.kernelName)) tf.unregisterKernel(kernel.kernelName, 'wasm');
      tf.registerKernel(kernel);
    }
  }
}

function network(): Sequential {
  const start = (seed: number) => initializers.randomNormal({ mean: 0, stddev: 0.3, seed });
  return sequential({
    layers: [
      layers.conv2d({
        name: 'conv1',
        inputShape: [10, 10, 3],
        filters: 20,
        kernelSize: 3,
        useBias: false,
        kernelInitializer: start(1),
      }),
      batchNorm(),
      layers.reLU(),
      layers.conv2d({
        name: 'conv2',
        filters: 18,
        kernelSize: 3,
        strides: 2,
        activation: 'relu',
        kernelInitializer: start(2),
      }),
      layers.depthwiseConv2d({ name: 'depthwise', kernelSize: 2, depthMultiplier: 2, depthwiseInitializer: start(3) }),
      layers.flatten(),
      dropout({ rate: 0.25, seed: 3 }),
      layers.dense({ name: 'hidden', units: 7, kernelInitializer: start(4) }),
      layers.dense({ name: 'classifier', units: 4, activation: 'softmax', kernelInitializer: start(5) }),
    ],
  });
}

const step = [decayWeights(5e-2), scaleBy(1e-2)];
const heads: Record<string, Plasticity> = {
  GHL: threeFactor(maxAbs(swta({ temperature: 0.5 })), sign()),
  'GHL, flipped': threeFactor(maxAbs(swta()), sign({ mode: 'flip' })),
  'the sign at the root mean square': threeFactor(rms(maxAbs(swta())), sign()),
  'the sign alone': threeFactor(constant(), sign()),
  Oja: local(maxAbs(oja())),
  'HPCA with a sign': threeFactor(maxAbs(hpca()), sign()),
  'BCM with its state': threeFactor(maxAbs(bcm()), sign()),
  'gradient descent': gradientDescent(),
  'GHL with normalized units': threeFactor(normalizeUnits(maxAbs(swta())), sign()),
  'the largest value of each unit': threeFactor(maxAbs(swta(), { per: 'unit' }), sign()),
  'the root mean square of each unit': threeFactor(rms(maxAbs(swta()), { per: 'unit' }), sign()),
  'powers and limits': chain(threeFactor(power(maxAbs(swta()), 0.5), sign()), clipByValue(0.5), unitStep(0.5)),
};

/** Transforms after those of every head. */
const tails: Record<string, Transform[]> = {
  'powers and limits': [bounds(-1, 0.75), unitNorm({ radius: 3 })],
};

function train(
  head: Plasticity,
  tail: readonly Transform[],
  missing: readonly string[],
  called: Set<string>,
): Float32Array[] {
  return withKernels(missing, called, () =>
    tf.tidy(() => {
      const model = network();
      const product = chain(head, ...step, ...tail);
      const optimizer = plasticOptimizer(model, {
        conv1: product,
        conv2: product,
        depthwise: product,
        hidden: product,
        '*': chain(gradientDescent(), scaleBy(1e-2)),
      });
      const x = tf.randomNormal([6, 10, 10, 3], 0, 1, 'float32', 7);
      const y = tf.oneHot(tf.tensor1d([0, 1, 2, 3, 0, 1], 'int32'), 4);
      for (let i = 0; i < 3; i++) {
        optimizer.minimize(() => {
          const p = model.apply(x, { training: true }) as tf.Tensor;
          return tf.neg(tf.mean(tf.sum(tf.mul(y, tf.log(p)), 1)));
        });
      }
      const values = model.getWeights().map((weight) => weight.dataSync<'float32'>().slice());
      optimizer.dispose();
      model.dispose();
      return values;
    }),
  );
}

describe.each(Object.entries(heads))('%s', (name, head) => {
  it('moves the weights equally with fused kernels and without', () => {
    const [used, unused] = [new Set<string>(), new Set<string>()];
    const before = tf.memory().numTensors;
    const plain = train(head, tails[name] ?? [], fused, unused);
    const quick = train(head, tails[name] ?? [], [], used);
    expect(tf.memory().numTensors).toBe(before);
    expect(unused).toEqual(new Set());
    expect(used).toContain(FUSED_UPDATE);
    expect(used).toContain(BATCH_NORM);
    expect(used).toContain(DROPOUT);
    const distance = (a: Float32Array, b: Float32Array) => Math.max(...a.map((value, i) => Math.abs(value - b[i]!)));
    for (const [i, values] of quick.entries()) expect(distance(values, plain[i]!)).toBeLessThan(1e-5);
  });
});

it.each([1, 7, 8, 13, 16384 + 5, 2 * 16384 + 8])(
  'drops the same of %d units with the fused kernel and without, forward and backward',
  (size) => {
    const both = (missing: readonly string[]) =>
      withKernels(missing, new Set(), () =>
        tf.tidy(() => {
          const layer = dropout({ rate: 0.3, seed: 3 });
          const f = (x: tf.Tensor) => layer.apply(x, { training: true }) as tf.Tensor;
          const { value, grad } = tf.valueAndGrad(f)(tf.linspace(-1, 1, size), tf.linspace(2, 3, size));
          return [value, grad].map((tensor) => tensor.dataSync<'float32'>().slice());
        }),
      );
    expect(both([])).toEqual(both([DROPOUT]));
  },
);
