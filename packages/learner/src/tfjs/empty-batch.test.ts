/** A step without examples or positions teaches nothing, and is refused with a code. */
import '@tensorflow/tfjs-backend-cpu';
import {
  chain,
  constant,
  decayWeights,
  gradientDescent,
  type LocalRule,
  local,
  maxAbs,
  type Plasticity,
  rms,
  scaleBy,
  type Transform,
  threeFactor,
} from '@ghl/core';
import {
  type Connection,
  conv1d,
  conv2d,
  dense,
  depthwiseConv2d,
  initState,
  layerIncrement,
  leaves,
} from '@ghl/core/engine';
import { specOf } from '@ghl/core/plugin';
import { gate } from '@ghl/modulator-gate';
import { scalar } from '@ghl/modulator-scalar';
import { sign } from '@ghl/modulator-sign';
import { bcm } from '@ghl/rule-bcm';
import { hpca } from '@ghl/rule-hpca';
import { oja } from '@ghl/rule-oja';
import { swta } from '@ghl/rule-swta';
import * as tf from '@tensorflow/tfjs-core';
import * as tfd from '@tensorflow/tfjs-data';
import * as tfl from '@tensorflow/tfjs-layers';
import { beforeAll, describe, expect, it } from 'vitest';
import { type Assignment, type PlasticOptimizer, plasticOptimizer } from '../index.js';
import { forward, lossOf, own, ownTf, random, tfOptimizers, values } from '../model.fixture.js';

beforeAll(async () => {
  await tf.setBackend('cpu');
});

const empty = expect.objectContaining({ name: 'DataError', code: 'EMPTY_TENSOR' });

const rules: [string, LocalRule][] = [
  ['oja', oja()],
  ['swta', swta()],
  ['bcm', bcm()],
  ['bcm, divided', bcm({ divide: true })],
  ['hpca', hpca()],
  ['hpca, ReLU', hpca({ activation: 'relu', scaleByFanIn: true })],
  ['constant', constant()],
  ['maxAbs(bcm)', maxAbs(bcm())],
  ['rms(swta)', rms(swta())],
];
const products: [string, (rule: LocalRule) => Plasticity][] = [
  ['alone', local],
  ['sign', (rule) => threeFactor(rule, sign())],
  ['sign, flip', (rule) => threeFactor(rule, sign({ mode: 'flip' }))],
  ...(['gradient', 'reward', 'loss', 'surprise'] as const).map((on): [string, (rule: LocalRule) => Plasticity] => [
    `gate on ${on}`,
    (rule) => threeFactor(rule, gate({ on, threshold: 0.1, width: 0.1 })),
  ]),
  ['scalar', (rule) => threeFactor(rule, scalar())],
  ['scalar per example', (rule) => threeFactor(rule, scalar({ per: 'example' }))],
  ['scalar on loss', (rule) => threeFactor(rule, scalar({ on: 'loss' }))],
  ['scalar on loss difference', (rule) => threeFactor(rule, scalar({ on: 'lossDifference' }))],
];
/** Connections and their inputs: without examples, then without positions. */
const connections: [string, Connection, number[][]][] = [
  [
    'dense',
    dense([3, 2]),
    [
      [0, 3],
      [2, 0, 3],
    ],
  ],
  [
    'conv1d',
    conv1d([2, 3, 2]),
    [
      [0, 5, 3],
      [2, 1, 3],
    ],
  ],
  [
    'conv2d',
    conv2d([2, 2, 3, 2]),
    [
      [0, 4, 4, 3],
      [2, 1, 4, 3],
    ],
  ],
  [
    'depthwiseConv2d',
    depthwiseConv2d([2, 2, 3, 2]),
    [
      [0, 4, 4, 3],
      [2, 4, 1, 3],
    ],
  ],
];

describe.each(products)('%s', (_, productOf) => {
  it.each(rules)('layerIncrement() refuses an empty tensor, and keeps the state: %s', (name, rule) => {
    const perExample = _ === 'scalar per example';
    if (perExample && (name === 'constant' || name.startsWith('rms'))) return;
    const product = chain(productOf(rule), decayWeights(0.1), scaleBy(0.1));
    for (const [, connection, shapes] of connections) {
      tf.tidy(() => {
        const kernel = tf.ones([...connection.kernelShape]);
        const state = initState(product, connection.kernelShape, connection.units);
        const before = leaves(state).map(([, leaf]) => Array.from(leaf.dataSync()));
        for (const shape of shapes) {
          const pre = tf.zeros(shape);
          const post = tf.zeros([...(shape[0] === 0 ? [0, 1] : [2, 0]), connection.units.fanOut]);
          for (const calls of [
            [{ pre, post }],
            [
              { pre: tf.ones(shape.map((n) => n + 3)), post: tf.ones([3, 4, connection.units.fanOut]) },
              { pre, post },
            ],
          ]) {
            const signals = {
              gradient: tf.ones([...connection.kernelShape]),
              loss: tf.scalar(1),
              reward: tf.zeros([0]),
            };
            expect(() => layerIncrement(product, { connection, kernel, calls, signals, step: 1 }, state)).toThrow(
              empty,
            );
          }
        }
        expect(leaves(state).map(([, leaf]) => Array.from(leaf.dataSync()))).toEqual(before);
      });
    }
  });
});

const momentum: Transform = {
  spec: specOf('momentum'),
  init: (shape) => ({ trace: tf.zeros([...shape]) }),
  update: (increment, __, { trace }) => {
    const next = tf.add(tf.mul(trace as tf.Tensor, 0.9), increment);
    return { increment: next, state: { trace: next } };
  },
};
const net = () =>
  own(
    tfl.sequential({
      layers: [
        tfl.layers.dense({ name: 'first', units: 3, inputShape: [4] }),
        tfl.layers.batchNormalization({ name: 'norm' }),
        tfl.layers.dense({ name: 'out', units: 2 }),
      ],
    }),
  );
const rest = chain(gradientDescent(), decayWeights(0.1), momentum, scaleBy(0.1));
const plans: [string, () => Assignment][] = [
  ['the gradient, decay and momentum', () => ({ '*': rest })],
  ['rules', () => ({ first: chain(threeFactor(maxAbs(bcm()), scalar({ on: 'loss' })), momentum), '*': rest })],
  ['a rule that reads no activity', () => ({ first: local(constant()), '*': null })],
  // Centered RMSProp computes NaN for a gradient near 0.
  ...tfOptimizers
    .filter(([name]) => name !== 'rmsprop, centered')
    .map(([name, make]): [string, () => Assignment] => [name, () => ({ '*': ownTf(make()) })]),
];
const everything = async (model: tfl.LayersModel, optimizer: PlasticOptimizer) => [
  values(model),
  (await optimizer.getWeights()).map(({ name, tensor }) => [name, Array.from(tensor.dataSync())]),
];

describe.each(plans)('under %s', (_, plan) => {
  const losses: [string, (y: tf.Tensor) => tf.Tensor][] = [
    ['mean', tf.mean],
    ['sum', tf.sum],
  ];
  it.each(losses)('minimize() and computeGradients() refuse an empty batch for any loss: %s', async (__, reduce) => {
    const [model, assignment] = [net(), plan()];
    const optimizer = own(plasticOptimizer(model, assignment));
    optimizer.minimize(lossOf(model, random([5, 4], 1)));
    const before = await everything(model, optimizer);
    const none = own(tf.zeros([0, 4]));
    const f = () => tf.tidy(() => reduce(tf.square(forward(model, none)))) as tf.Scalar;
    const { numTensors } = tf.memory();
    expect(() => optimizer.minimize(f)).toThrow(empty);
    if (!('first' in assignment)) expect(() => optimizer.computeGradients(f)).toThrow(empty);
    expect(tf.memory().numTensors).toBe(numTensors);
    expect(await everything(model, optimizer)).toEqual(before);
    optimizer.minimize(lossOf(model, random([5, 4], 1)));
    await optimizer.checkFinite();
  });
});

describe('training', () => {
  const setUp = () => {
    const model = net();
    const optimizer = own(plasticOptimizer(model, { first: chain(local(maxAbs(bcm())), scaleBy(0.1)), '*': rest }));
    model.compile({ optimizer, loss: 'meanSquaredError' });
    return { model, optimizer };
  };
  const [xs, ys] = [() => random([6, 4], 1), () => random([6, 2], 2)];
  const none = () => [own(tf.zeros([0, 4])), own(tf.zeros([0, 2]))] as const;

  it('rejects fitDataset() at an empty last batch, and keeps the earlier steps', async () => {
    const [{ model, optimizer }, whole] = [setUp(), setUp()];
    whole.model.setWeights(model.getWeights());
    const batches = (sizes: readonly number[]) =>
      tfd.generator(function* () {
        for (const size of sizes) yield { xs: tf.slice(xs(), [0], [size]), ys: tf.slice(ys(), [0], [size]) };
      } as never) as tfd.Dataset<tf.TensorContainer>;
    tf.engine().startScope(); // tfjs leaks tensors when fitDataset() throws
    await expect(model.fitDataset(batches([4, 6, 0]), { epochs: 1, verbose: 0 })).rejects.toEqual(empty);
    tf.engine().endScope();
    await whole.model.fitDataset(batches([4, 6]), { epochs: 1, verbose: 0 });
    expect(await everything(model, optimizer)).toEqual(await everything(whole.model, whole.optimizer));
  });

  it('rejects trainOnBatch() without examples, and changes nothing', async () => {
    const { model, optimizer } = setUp();
    await model.trainOnBatch(xs(), ys());
    const before = await everything(model, optimizer);
    tf.engine().startScope();
    await expect(model.trainOnBatch(...none())).rejects.toEqual(empty);
    tf.engine().endScope();
    expect(await everything(model, optimizer)).toEqual(before);
  });

  it('changes nothing in fit() without examples', async () => {
    const { model, optimizer } = setUp();
    const before = await everything(model, optimizer);
    tf.engine().startScope();
    await model.fit(...none(), { epochs: 2, verbose: 0 }).catch((error) => expect(error).toEqual(empty));
    tf.engine().endScope();
    expect(await everything(model, optimizer)).toEqual(before);
  });
});

it('an empty signal is refused before anything moves', async () => {
  for (const modulator of [scalar(), gate({ on: 'surprise', threshold: 0 })]) {
    const model = net();
    const optimizer = own(plasticOptimizer(model, { first: threeFactor(constant(), modulator), '*': null }));
    const before = await everything(model, optimizer);
    const f = lossOf(model, random([5, 4], 1));
    expect(() => optimizer.minimize(f, { signals: { reward: own(tf.zeros([0])) } })).toThrow(
      expect.objectContaining({ code: expect.stringMatching(/EMPTY_TENSOR|SIGNAL_SHAPE/) }),
    );
    expect(await everything(model, optimizer)).toEqual(before);
  }
});

it('an empty weight does not move, and the others do', async () => {
  class Hollow extends tfl.layers.Layer {
    static className = 'Hollow';

    override build(): void {
      this.addWeight('nothing', [0, 3], 'float32', tfl.initializers.zeros());
      this.built = true;
    }

    override call(inputs: tf.Tensor[]): tf.Tensor {
      return tf.clone(inputs[0] as tf.Tensor);
    }
  }
  for (const mover of [rest, ownTf(tf.train.adam(0.1))]) {
    const layers = [tfl.layers.dense({ units: 3, inputShape: [4] }), new Hollow({ name: 'hollow' })];
    const model = own(tfl.sequential({ layers: layers as tfl.layers.Layer[] }));
    const optimizer = own(plasticOptimizer(model, { '*': mover }));
    const before = values(model);
    optimizer.minimize(lossOf(model, random([5, 4], 1)));
    await optimizer.checkFinite();
    expect(values(model)[0]).not.toEqual(before[0]);
    expect(values(model)[2]).toEqual([]);
  }
});
