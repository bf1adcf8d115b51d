/** Every rule × modulator × kind of layer on a backend, and every recipe for a long time. */
import {
  type BackendAdapter,
  chain,
  gradientDescent,
  type LocalRule,
  local,
  maxAbs,
  type Plasticity,
  rms,
  scaleBy,
  threeFactor,
} from '@ghl/core';
import { plasticOptimizer } from '@ghl/learner';
import { networks } from '@ghl/models';
import { gate } from '@ghl/modulator-gate';
import { scalar } from '@ghl/modulator-scalar';
import { sign } from '@ghl/modulator-sign';
import { recipes } from '@ghl/recipes';
import { bcm } from '@ghl/rule-bcm';
import { hpca } from '@ghl/rule-hpca';
import { oja } from '@ghl/rule-oja';
import { swta } from '@ghl/rule-swta';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { afterAll, beforeAll, expect, it } from 'vitest';

const rules: Record<string, () => LocalRule> = {
  oja,
  swta: () => swta({ temperature: 0.5 }),
  bcm,
  'bcm, divided': () => bcm({ divide: true }),
  hpca,
  'hpca, ReLU': () => hpca({ activation: 'relu', scaleByFanIn: true }),
};

const wrappers: Record<string, (rule: LocalRule) => LocalRule> = {
  raw: (rule) => rule,
  maxAbs,
  rms: (rule) => rms(maxAbs(rule)),
};

const modulators: Record<string, (rule: LocalRule) => Plasticity> = {
  none: local,
  sign: (rule) => threeFactor(rule, sign()),
  'sign, flip': (rule) => threeFactor(rule, sign({ mode: 'flip' })),
  'gate on the gradient of a weight': (rule) => threeFactor(rule, gate({ on: 'gradient', threshold: 1e-3 })),
  'gate on the gradient of a unit': (rule) =>
    threeFactor(rule, gate({ on: 'gradient', threshold: 1e-3, width: 1e-3, per: 'unit' })),
  'gate on the gradient of a layer': (rule) => threeFactor(rule, gate({ on: 'gradient', threshold: 0, per: 'layer' })),
  'gate on reward': (rule) => threeFactor(rule, gate({ on: 'reward', threshold: 0.2 })),
  'gate on surprise': (rule) => threeFactor(rule, gate({ on: 'surprise', threshold: 0.1 })),
  'gate on loss': (rule) => threeFactor(rule, gate({ on: 'loss', threshold: 1e-3 })),
  'scalar reward': (rule) => threeFactor(rule, scalar()),
  'scalar reward per example': (rule) => threeFactor(rule, scalar({ per: 'example' })),
  'scalar loss': (rule) => threeFactor(rule, scalar({ on: 'loss' })),
  'scalar loss difference': (rule) => threeFactor(rule, scalar({ on: 'lossDifference' })),
};

const { flatten } = tfl.layers;
const kernelInitializer = () => tfl.initializers.randomNormal({ stddev: 0.5, seed: 7 });
const layers: Record<string, () => { inputShape: number[]; layer: tfl.layers.Layer }> = {
  dense: () => ({
    inputShape: [6],
    layer: tfl.layers.dense({ name: 'plastic', units: 4, activation: 'tanh', kernelInitializer: kernelInitializer() }),
  }),
  conv1d: () => ({
    inputShape: [7, 3],
    layer: tfl.layers.conv1d({
      name: 'plastic',
      filters: 4,
      kernelInitializer: kernelInitializer(),
      kernelSize: 3,
      padding: 'same',
      activation: 'relu',
    }),
  }),
  conv2d: () => ({
    inputShape: [6, 5, 2],
    layer: tfl.layers.conv2d({
      name: 'plastic',
      filters: 4,
      kernelInitializer: kernelInitializer(),
      kernelSize: [3, 2],
      strides: [2, 1],
      padding: 'same',
    }),
  }),
  'conv2d, dilated': () => ({
    inputShape: [7, 7, 2],
    layer: tfl.layers.conv2d({
      name: 'plastic',
      filters: 4,
      kernelInitializer: kernelInitializer(),
      kernelSize: 3,
      dilationRate: 2,
      activation: 'relu',
    }),
  }),
  depthwise: () => ({
    inputShape: [6, 6, 3],
    layer: tfl.layers.depthwiseConv2d({
      name: 'plastic',
      kernelSize: 3,
      depthMultiplier: 2,
      depthwiseInitializer: kernelInitializer(),
      activation: 'relu',
    }),
  }),
};

const products = Object.keys(layers).flatMap((kind) =>
  Object.keys(modulators).flatMap((modulator) =>
    Object.keys(rules).flatMap((rule) =>
      Object.keys(wrappers).map((wrapper) => [kind, modulator, rule, wrapper] as const),
    ),
  ),
);

type Product = (typeof products)[number];

/** A trace under a per-example factor is refused. */
const isAllowed = ([, modulator, , wrapper]: Product): boolean =>
  wrapper !== 'rms' || modulator !== 'scalar reward per example';

/** What is made of a backend's speed. */
interface Effort {
  /** Trains each so manieth product only, of which 11 still has every rule meet every modulator. */
  readonly every: number;
  /** Steps for which every recipe is held to what it holds. */
  readonly steps: number;
}

/** Defines the tests of a backend. */
export function everyProduct(backend: BackendAdapter, { every, steps }: Effort): void {
  beforeAll(async () => {
    await backend.activate();
  });
  afterAll(() => backend.deactivate());

  const trained = products.filter((_, i) => i % every === 0);

  it('trains every rule by every modulator', () => {
    const pairs = (list: typeof products) =>
      new Set(list.filter(isAllowed).map(([, modulator, rule]) => `${modulator} × ${rule}`));
    expect(pairs(trained)).toEqual(pairs(products));
    expect(new Set(trained.map(([kind]) => kind)).size).toBe(Object.keys(layers).length);
    expect(new Set(trained.map(([, , , wrapper]) => wrapper)).size).toBe(Object.keys(wrappers).length);
  });

  it.each(trained)('%s: %s, %s, %s', async (...[kind, modulator, rule, wrapper]: Product) => {
    const wrapped = (wrappers[wrapper] as (rule: LocalRule) => LocalRule)((rules[rule] as () => LocalRule)());
    const product = () => (modulators[modulator] as (rule: LocalRule) => Plasticity)(wrapped);
    if (!isAllowed([kind, modulator, rule, wrapper])) {
      expect(product).toThrow(expect.objectContaining({ code: 'PER_EXAMPLE_REFUSED' }));
      return;
    }
    const before = tf.memory().numTensors;
    const { inputShape, layer } = (layers[kind] as () => { inputShape: number[]; layer: tfl.layers.Layer })();
    const input = tfl.input({ shape: inputShape });
    const features = layer.apply(input) as tfl.SymbolicTensor;
    const flat = kind === 'dense' ? features : (flatten().apply(features) as tfl.SymbolicTensor);
    const model = tfl.model({
      inputs: input,
      outputs: tfl.layers.dense({ units: 2, kernelInitializer: kernelInitializer() }).apply(flat) as tfl.SymbolicTensor,
    });
    const optimizer = plasticOptimizer(model, {
      plastic: chain(product(), scaleBy(1e-2)),
      '*': chain(gradientDescent(), scaleBy(1e-2)),
    });
    const kernel = async () => (await (model.getLayer('plastic').getWeights()[0] as tf.Tensor).data()).slice();
    const initial = await kernel();
    for (let step = 0; step < 3; step++) {
      tf.tidy(() => {
        const x = tf.randomNormal([4, ...inputShape], 0, 1, 'float32', step + 1);
        const f = () => tf.mean(tf.square(model.apply(x, { training: true }) as tf.Tensor)) as tf.Scalar;
        optimizer.minimize(f, { signals: { reward: tf.tensor1d([0, step, 1, 0.5]) } });
      });
    }
    const moved = await kernel();
    expect(moved.every(Number.isFinite)).toBe(true);
    expect(moved).not.toEqual(initial);
    // An empty batch is refused, and changes nothing.
    const state = async () =>
      Promise.all((await optimizer.getWeights()).map(async ({ tensor }) => (await tensor.data()).slice()));
    const remembered = await state();
    expect(() =>
      tf.tidy(() => {
        const f = () => tf.sum(model.apply(tf.zeros([0, ...inputShape]), { training: true }) as tf.Tensor) as tf.Scalar;
        optimizer.minimize(f, { signals: { reward: tf.zeros([0]) } });
      }),
    ).toThrow(expect.objectContaining({ code: 'EMPTY_TENSOR' }));
    expect(await kernel()).toEqual(moved);
    expect(await state()).toEqual(remembered);
    optimizer.dispose();
    model.dispose();
    expect(tf.memory().numTensors).toBe(before);
  });

  it.each(Object.keys(recipes))(`${steps} steps of %s leave the number of tensors where it was`, (name) => {
    const model = networks['deephebb-small'].build({
      inputShape: [8, 8, 1],
      classes: 3,
    });
    const optimizer = plasticOptimizer(
      model,
      (recipes[name] as NonNullable<(typeof recipes)[string]>)('deephebb-small', { steps }),
    );
    const x = tf.randomNormal([2, 8, 8, 1], 0, 1, 'float32', 1);
    const y = tf.tensor2d([1, 0, 0, 0, 0, 1], [2, 3]);
    const loss = () =>
      tf.neg(tf.mean(tf.sum(tf.mul(y, tf.log(model.apply(x, { training: true }) as tf.Tensor)), 1))) as tf.Scalar;
    optimizer.minimize(loss);
    const before = tf.memory();
    for (let step = 0; step < steps; step++) optimizer.minimize(loss);
    expect(tf.memory().numTensors).toBe(before.numTensors);
    expect(tf.memory().numBytes).toBe(before.numBytes);
    tf.dispose([x, y]);
    optimizer.dispose();
    model.dispose();
  });
}
