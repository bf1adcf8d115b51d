/** Every rule × modulator × kind of layer on a backend, and every recipe for a long time. */
import {
  type BackendAdapter,
  chain,
  constant,
  type GlobalModulator,
  gradientDescent,
  type LocalRule,
  local,
  maxAbs,
  normalizeUnits,
  type Plasticity,
  permuted,
  rms,
  scaleBy,
  threeFactor,
} from '@ghl/core';
import type { Plugin } from '@ghl/core/plugin';
import { plasticOptimizer } from '@ghl/learner';
import { networks } from '@ghl/models';
import { parts, recipes } from '@ghl/recipes';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { afterAll, beforeAll, expect, it } from 'vitest';

/** The examples of every rule or modulator, by the call that makes each. */
function examplesOf<Kind extends Plugin['kind']>(kind: Kind) {
  const ofKind = parts.filter((part): part is Extract<Plugin, { kind: Kind }> => part.kind === kind);
  return Object.fromEntries(
    ofKind.flatMap(({ name, make, examples }) =>
      examples.map((args) => [
        `${name}(${args.map((arg) => JSON.stringify(arg)).join(', ')})`,
        () => make(...args) as ReturnType<Extract<Plugin, { kind: Kind }>['make']>,
      ]),
    ),
  );
}

const rules = examplesOf('rule');

const wrappers: Record<string, (rule: LocalRule) => LocalRule> = {
  raw: (rule) => rule,
  maxAbs,
  rms: (rule) => rms(maxAbs(rule)),
  'maxAbs per unit': (rule) => maxAbs(rule, { per: 'unit' }),
  'rms per unit': (rule) => rms(maxAbs(rule), { per: 'unit' }),
  normalizeUnits: (rule) => normalizeUnits(maxAbs(rule)),
  permuted: (rule) => permuted(maxAbs(rule), 1),
};

const modulators: Record<string, (() => GlobalModulator) | null> = { none: null, ...examplesOf('modulator') };

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

type Product = readonly [kind: string, modulator: string, rule: string, wrapper: string];

const names = {
  kinds: Object.keys(layers),
  modulators: Object.keys(modulators),
  rules: Object.keys(rules),
  wrappers: Object.keys(wrappers),
};

/** Element `i` of a list that repeats. */
const cycle = (list: readonly string[], i: number) => list[i % list.length] as string;

/** Every rule with every modulator on every kind of layer, with the wrappers in rotation. */
const products: Product[] = names.kinds.flatMap((kind, k) =>
  names.modulators.flatMap((modulator, m) =>
    names.rules.map((rule, r) => [kind, modulator, rule, cycle(names.wrappers, k + m + r)] as const),
  ),
);

const modulatorOf = (name: string) => modulators[name]?.() ?? null;

/** A factor per example or per activity cannot reach a ΔW that is not linear in its gate. */
const isAllowed = ([, modulator, rule, wrapper]: Product): boolean =>
  ['weights', undefined].includes(modulatorOf(modulator)?.actsOn) ||
  (isLinear(wrapper) && rules[rule]?.().active !== false);

const isLinear = (wrapper: string) => wrappers[wrapper]?.(constant()).wrappers?.every(({ linear }) => linear) ?? true;

/** Every rule on every kind of layer, with the modulators and the wrappers in rotation. */
const sample: Product[] = names.kinds.flatMap((kind, k) =>
  names.rules.map((rule, r) => {
    const i = k + r * names.kinds.length;
    const product = [kind, cycle(names.modulators, i), rule, cycle(names.wrappers, i)] as const;
    return isAllowed(product) ? product : ([kind, 'none', rule, product[3]] as const);
  }),
);

/** The tests that a backend has time for. */
interface Effort {
  /** Whether to train every rule with a modulator per kind of layer only, not with each. */
  readonly sampled: boolean;
  /** Steps for which every recipe must keep its number of tensors. */
  readonly steps: number;
}

/** Defines the tests of a backend. */
export function everyProduct(backend: BackendAdapter, { sampled, steps }: Effort): void {
  beforeAll(async () => {
    await backend.activate();
  });
  afterAll(() => backend.deactivate());

  const trained = sampled ? sample : products;

  it('trains every rule, modulator, kind of layer and wrapper', () => {
    for (const [i, all] of [names.kinds, names.modulators, names.rules, names.wrappers].entries()) {
      expect(new Set(trained.map((product) => product[i]))).toEqual(new Set(all));
    }
  });

  it.each(trained)('%s: %s, %s, %s', async (...[kind, modulator, rule, wrapper]: Product) => {
    const wrapped = (wrappers[wrapper] as (rule: LocalRule) => LocalRule)((rules[rule] as () => LocalRule)());
    const third = modulatorOf(modulator);
    const product = (): Plasticity => (third === null ? local(wrapped) : threeFactor(wrapped, third));
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
        const target = tf.tensor2d([1, 0, 0, 1, 1, 0, 0, 1], [4, 2]);
        optimizer.minimize(f, { signals: { reward: tf.tensor1d([0, step, 1, 0.5]), input: x, target } });
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
        const x = tf.zeros([0, ...inputShape]);
        const f = () => tf.sum(model.apply(x, { training: true }) as tf.Tensor) as tf.Scalar;
        optimizer.minimize(f, { signals: { reward: tf.zeros([0]), input: x, target: tf.zeros([0, 2]) } });
      }),
    ).toThrow(expect.objectContaining({ code: 'EMPTY_TENSOR' }));
    expect(await kernel()).toEqual(moved);
    expect(await state()).toEqual(remembered);
    optimizer.dispose();
    model.dispose();
    expect(tf.memory().numTensors).toBe(before);
  });

  const onePhase = Object.values(recipes).filter((recipe) => 'assign' in recipe);
  it.each(onePhase)(`${steps} steps of $name keep the number of tensors`, ({ assign }) => {
    const { build, constants } = networks['deephebb-small'];
    const model = build({ inputShape: [8, 8, 1], classes: 3 });
    const optimizer = plasticOptimizer(model, assign({ ...constants, steps }));
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
