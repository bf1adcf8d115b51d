/** The signals `input` and `target`, and a third factor per activity that reads them. */
import '@tensorflow/tfjs-backend-cpu';
import { chain, local, maxAbs, presynaptic, type Signals, scaleBy, sgd, threeFactor } from '@ghl/core';
import { type ActivityContext, type PerActivityModulator, specOf } from '@ghl/core/plugin';
import { sign } from '@ghl/modulator-sign';
import { oja } from '@ghl/rule-oja';
import { swta } from '@ghl/rule-swta';
import * as tf from '@tensorflow/tfjs-core';
import * as tfd from '@tensorflow/tfjs-data';
import * as tfl from '@tensorflow/tfjs-layers';
import { beforeAll, describe, expect, it } from 'vitest';
import { plasticOptimizer } from './index.js';
import { forward, lossOf, own, random, twins, values } from './model.fixture.js';

beforeAll(async () => {
  await tf.setBackend('cpu');
});

type Read = 'input' | 'target';

interface Observation {
  readonly input?: tf.TensorLike;
  readonly target?: tf.TensorLike;
  readonly post: tf.TensorLike;
  readonly batch: number;
}

/** Records what it reads. Its factor is 1. */
function observer<R extends Read>(reads: readonly R[]) {
  const seen: Observation[] = [];
  const modulator: PerActivityModulator<R> = {
    spec: specOf('observer', ...reads),
    actsOn: 'activity',
    reads,
    init: () => ({}),
    factor(signals, { post, batch }: ActivityContext, state) {
      const { input, target } = signals as Partial<Pick<Signals, Read>>;
      const read = { ...(input && { input: input.arraySync() }), ...(target && { target: target.arraySync() }) };
      seen.push({ ...read, post: post.arraySync(), batch });
      return { factor: tf.onesLike(post), state };
    },
  };
  return { modulator, seen };
}

function net(): tfl.LayersModel {
  return own(
    tfl.sequential({
      layers: [
        tfl.layers.dense({ name: 'first', units: 3, activation: 'tanh', inputShape: [4] }),
        tfl.layers.dense({ name: 'second', units: 3, activation: 'tanh' }),
        tfl.layers.dense({ name: 'out', units: 2, activation: 'softmax' }),
      ],
    }),
  );
}

const assignment = <R extends Read>(modulator: PerActivityModulator<R>) => ({
  second: chain(threeFactor(maxAbs(swta()), modulator), scaleBy(0.1)),
  '*': sgd(0.1),
});

/** Four examples, and their classes. */
const x = () => random([4, 4], 1);
const classes = [0, 1, 1, 0];
const oneHot = [
  [1, 0],
  [0, 1],
  [0, 1],
  [1, 0],
];

describe('the signals input and target', () => {
  it('are the batch of fit(), fitDataset() and trainOnBatch()', async () => {
    const input = x();
    const labels = own(tf.tensor2d(oneHot));
    const batches = [
      [0, 3],
      [3, 1],
    ] as const;
    const expected = batches.map(([begin, size]) => ({
      input: tf.tidy(() => tf.slice(input, [begin, 0], [size, 4]).arraySync()),
      target: oneHot.slice(begin, begin + size),
      batch: size,
    }));
    const dataset = tfd
      .zip({ xs: tfd.array((await input.array()) as number[][]), ys: tfd.array(oneHot) } as never)
      .batch(3);
    const ways: [string, (model: tfl.LayersModel) => Promise<unknown>][] = [
      ['fit', (model) => model.fit(input, labels, { batchSize: 3, shuffle: false, verbose: 0 })],
      ['fitDataset', (model) => model.fitDataset(dataset, { epochs: 1, verbose: 0 })],
      [
        'trainOnBatch',
        async (model) => {
          for (const [begin, size] of batches) {
            const [xs, ys] = [tf.slice(input, [begin, 0], [size, 4]), tf.slice(labels, [begin, 0], [size, 2])];
            await model.trainOnBatch(xs, ys);
            tf.dispose([xs, ys]);
          }
        },
      ],
    ];
    for (const [name, train] of ways) {
      const { modulator, seen } = observer(['input', 'target']);
      const model = net();
      const optimizer = own(plasticOptimizer(model, assignment(modulator)));
      model.compile({ optimizer, loss: 'categoricalCrossentropy' });
      await train(model);
      const read = seen.map(({ post, ...signals }) => ({ ...signals, units: (post as number[][])[0]?.length }));
      expect(read, name).toEqual(expected.map((each) => ({ ...each, units: 3 })));
    }
  });

  it('are labels as the loss receives them', async () => {
    const { modulator, seen } = observer(['target']);
    const model = net();
    model.compile({
      optimizer: own(plasticOptimizer(model, assignment(modulator))),
      loss: 'sparseCategoricalCrossentropy',
    });
    await model.fit(x(), own(tf.tensor1d(classes, 'int32')), { batchSize: 4, shuffle: false, verbose: 0 });
    expect([seen[0]?.target].flat(2)).toEqual(classes);
    expect(seen[0]).not.toHaveProperty('input');
  });

  it('must be passed in a custom loop, as tensors or functions', () => {
    const { modulator, seen } = observer(['input', 'target']);
    const model = net();
    const optimizer = own(plasticOptimizer(model, assignment(modulator)));
    const input = x();
    const untyped = optimizer as { minimize(f: () => tf.Scalar, options?: object): unknown };
    for (const signals of [{}, { input }, { target: input }]) {
      expect(() => untyped.minimize(lossOf(model, input), { signals })).toThrow(
        expect.objectContaining({ code: 'SIGNAL_MISSING' }),
      );
    }
    optimizer.minimize(lossOf(model, input), { signals: { input, target: () => tf.tensor2d(oneHot) } });
    expect(seen).toHaveLength(1);
    expect(seen[0]).toMatchObject({ input: input.arraySync(), target: oneHot, batch: 4 });
  });

  it('may be given to a custom loop only, in a model with two inputs', async () => {
    const [a, b] = [tfl.input({ shape: [2] }), tfl.input({ shape: [2] })];
    const hidden = tfl.layers.dense({ name: 'second', units: 3 });
    const both = tfl.layers.concatenate().apply([a, b]) as tfl.SymbolicTensor;
    const output = tfl.layers.dense({ units: 2 }).apply(hidden.apply(both)) as tfl.SymbolicTensor;
    const model = own(tfl.model({ inputs: [a, b], outputs: output }));
    const { modulator, seen } = observer(['input']);
    const optimizer = own(plasticOptimizer(model, assignment(modulator)));
    model.compile({ optimizer, loss: 'meanSquaredError' });
    const parts = [random([4, 2], 1), random([4, 2], 2)];
    const labels = own(tf.tensor2d(oneHot));
    tf.engine().startScope(); // tfjs leaks the indices of the examples if a step of fit() throws
    await expect(model.fit(parts, labels, { verbose: 0 })).rejects.toMatchObject({
      code: 'SIGNAL_MISSING',
    });
    tf.engine().endScope();
    optimizer.minimize(() => tf.mean(forward(model, parts)) as tf.Scalar, {
      signals: { input: parts[1] as tf.Tensor },
    });
    expect(seen[0]?.input).toEqual(parts[1]?.arraySync());
  });

  it('are neither evaluated nor kept if nothing reads them', () => {
    const model = net();
    const optimizer = own(
      plasticOptimizer(model, { second: chain(threeFactor(swta(), sign()), scaleBy(0.1)), '*': sgd(0.1) }),
    );
    const input = x();
    const unread = () => {
      throw new Error('evaluated');
    };
    optimizer.minimize(lossOf(model, input), { signals: { input: unread, target: unread } });
    expect(optimizer.step).toBe(1);
  });

  it('do not change the number of tensors', async () => {
    const { modulator } = observer(['input', 'target']);
    const model = net();
    const optimizer = own(plasticOptimizer(model, assignment(modulator)));
    model.compile({ optimizer, loss: 'categoricalCrossentropy' });
    const [input, labels] = [x(), own(tf.tensor2d(oneHot))];
    const options = { batchSize: 2, verbose: 0, shuffle: false };
    await model.fit(input, labels, options);
    const { numTensors } = tf.memory();
    await model.fit(input, labels, options);
    expect(tf.memory().numTensors).toBe(numTensors);
    const signals = { input: () => tf.clone(input), target: () => tf.clone(labels) };
    optimizer.minimize(lossOf(model, input), { signals });
    expect(tf.memory().numTensors).toBe(numTensors);
    // The batch of fit() is forgotten.
    const untyped = optimizer as { minimize(f: () => tf.Scalar, options?: object): unknown };
    expect(() => untyped.minimize(lossOf(model, input))).toThrow(expect.objectContaining({ code: 'SIGNAL_MISSING' }));
  });

  it.each<[string, unknown]>([
    ['a number', 1],
    ['one number', () => tf.scalar(1)],
    ['a batch of another size', () => tf.zeros([3, 2])],
    ['nothing', () => undefined],
  ])('must have a row for each example: %s', (_, target) => {
    const { modulator } = observer(['target']);
    const model = net();
    const optimizer = own(plasticOptimizer(model, assignment(modulator)));
    const before = values(model);
    const attempt = () => optimizer.minimize(lossOf(model, x()), { signals: { target: target as tf.Tensor } });
    expect(attempt).toThrow(expect.objectContaining({ code: 'SIGNAL_SHAPE' }));
    expect(attempt).toThrow('one row per example');
    expect(values(model)).toEqual(before);
  });

  it('report a step in which they are not finite', async () => {
    const { modulator } = observer(['input']);
    const model = net();
    const optimizer = own(plasticOptimizer(model, assignment(modulator)));
    const before = values(model);
    const broken = own(tf.fill([4, 4], Number.NaN));
    optimizer.minimize(lossOf(model, x()), { signals: { input: broken } });
    await expect(optimizer.checkFinite()).rejects.toMatchObject({ code: 'NON_FINITE_STEP' });
    expect(values(model)).toEqual(before);
  });
});

it('a factor of 1 per activity has the effect of the rule alone, with one correlation', async () => {
  const [model, oracle] = [net(), net()];
  oracle.setWeights(model.getWeights());
  const one: PerActivityModulator<never> = {
    spec: specOf('one'),
    actsOn: 'activity',
    reads: [],
    init: () => ({}),
    factor: (_, { post }, state) => ({ factor: tf.onesLike(post), state }),
  };
  const optimizer = own(plasticOptimizer(model, { second: threeFactor(oja(), one), '*': null }));
  const plain = own(plasticOptimizer(oracle, { second: local(oja()), '*': null }));
  const input = x();
  const products = async (step: () => unknown) => {
    const { kernels, result } = await tf.profile(() => {
      step();
      return tf.scalar(0);
    });
    tf.dispose(result);
    return kernels.filter(({ name }) => /matmul/i.test(name)).length;
  };
  const expected = await products(() => plain.minimize(lossOf(oracle, input)));
  expect(await products(() => optimizer.minimize(lossOf(model, input)))).toBe(expected);
  expect(values(model)).toEqual(values(oracle));
});

it('the error of a softmax per activity trains a classifier as the gradient does, without a backward pass', () => {
  const one = () =>
    own(tfl.sequential({ layers: [tfl.layers.dense({ name: 'out', units: 2, useBias: false, inputShape: [4] })] }));
  const [model, oracle] = twins(one);
  const error: PerActivityModulator<'target'> = {
    spec: specOf('error'),
    actsOn: 'activity',
    reads: ['target'],
    init: () => ({}),
    factor: ({ target }, { post }, state) => ({ factor: tf.sub(target, tf.softmax(post)), state }),
  };
  const delta = own(plasticOptimizer(model, { out: chain(threeFactor(presynaptic(), error), scaleBy(0.1)) }));
  const descent = own(plasticOptimizer(oracle, { out: sgd(0.1) }));
  const [input, target] = [x(), own(tf.tensor2d(oneHot))];
  const loss = () => tf.tidy(() => tf.neg(tf.sum(tf.mul(target, tf.logSoftmax(forward(oracle, input))))) as tf.Scalar);
  for (let step = 0; step < 5; step++) {
    delta.minimize(() => tf.dispose(forward(model, input)), { signals: { target } });
    descent.minimize(loss);
    expect(values(model)[0]).toBeAllClose(values(oracle)[0] as number[], { rtol: 1e-5, atol: 1e-6 });
  }
  expect(delta.reads).toEqual(['target']);
});
