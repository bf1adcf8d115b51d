import '@tensorflow/tfjs-backend-cpu';
import {
  chain,
  constant,
  cosine,
  decayWeights,
  gradientDescent,
  local,
  maxAbs,
  type Plasticity,
  rms,
  scaleBy,
  threeFactor,
} from '@ghl/core';
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
import { type Assignment, type PlasticOptimizer, plasticOptimizer, type StepOptions } from './index.js';
import { forward, lossOf, own, random, twins, values, variableOf } from './model.fixture.js';

beforeAll(async () => {
  await tf.setBackend('cpu');
});

const oneHot = (count: number, depth: number) =>
  own(
    tf.tidy(() =>
      tf.oneHot(
        tf.tensor1d(
          Array.from({ length: count }, (_, i) => i % depth),
          'int32',
        ),
        depth,
      ),
    ),
  );
const descend = (rate: number) => chain(gradientDescent(), scaleBy(rate));
const hebb = (rate = 1e-2) => chain(local(maxAbs(bcm())), scaleBy(rate));
const ghl = (rate = 1e-2) => chain(threeFactor(maxAbs(swta()), sign()), decayWeights(1e-2), scaleBy(cosine(rate, 20)));

function classifier(): tfl.LayersModel {
  return own(
    tfl.sequential({
      layers: [
        tfl.layers.conv2d({ name: 'conv1', filters: 3, kernelSize: 3, activation: 'relu', inputShape: [6, 6, 2] }),
        tfl.layers.conv2d({ name: 'conv2', filters: 4, kernelSize: 2, activation: 'relu' }),
        tfl.layers.flatten(),
        tfl.layers.dense({ name: 'out', units: 3, activation: 'softmax' }),
      ],
    }),
  );
}

const product = (): Assignment => ({ conv1: ghl(), conv2: hebb(), '*': descend(0.1) });

describe('under fit', () => {
  it('lowers the loss, counts the steps, and leaks no tensors', async () => {
    const model = classifier();
    const optimizer = own(plasticOptimizer(model, { conv1: ghl(), conv2: ghl(), '*': descend(0.1) }));
    model.compile({ optimizer, loss: 'categoricalCrossentropy', metrics: ['accuracy'] });
    const [xs, ys] = [random([24, 6, 6, 2], 1), oneHot(24, 3)];
    const before = tf.memory().numTensors;
    const seen: number[] = [];
    const { history } = await model.fit(xs, ys, {
      epochs: 12,
      batchSize: 8,
      verbose: 0,
      validationData: [xs, ys],
      callbacks: {
        onBatchEnd: async (_, logs) => {
          seen.push(logs?.loss as number);
        },
      },
    });
    expect(tf.memory().numTensors).toBe(before);
    expect(history.loss?.at(-1) as number).toBeLessThan(history.loss?.[0] as number);
    expect(seen).toHaveLength(36);
    expect(seen.every((loss) => loss > 0)).toBe(true);
    expect(history.acc).toHaveLength(12);
    expect(history.val_acc).toHaveLength(12);
    expect(optimizer.step).toBe(36);
    expect(optimizer.iterations).toBe(36);
  });

  it('has the same result as fitDataset, trainOnBatch and a loop of minimize()', async () => {
    const [one, two] = twins(classifier);
    const [three, four] = twins(classifier);
    for (const model of [three, four]) model.setWeights(one.getWeights());
    const models = [one, two, three, four] as const;
    const optimizers = models.map((model) => own(plasticOptimizer(model, product())));
    models.forEach((model, i) => {
      model.compile({ optimizer: optimizers[i] as tf.Optimizer, loss: 'categoricalCrossentropy', metrics: ['acc'] });
    });
    const [xs, ys] = [random([12, 6, 6, 2], 1), oneHot(12, 3)];
    await one.fit(xs, ys, { epochs: 2, batchSize: 4, shuffle: false, verbose: 0 });
    const images = tfd.array((await xs.array()) as number[][][][]);
    const labels = tfd.array((await ys.array()) as number[][]);
    const data = tfd.zip({ xs: images, ys: labels }).batch(4);
    await two.fitDataset(data as tfd.Dataset<tf.TensorContainer>, { epochs: 2, verbose: 0 });
    for (let step = 0; step < 6; step++) {
      const [x, y] = [tf.slice(xs, [(step % 3) * 4], [4]), tf.slice(ys, [(step % 3) * 4], [4])];
      const [loss, accuracy] = (await three.trainOnBatch(x, y)) as number[];
      expect(loss).toBeGreaterThan(0);
      expect(accuracy).toBeGreaterThanOrEqual(0);
      const cost = optimizers[3]?.minimize(
        () => tf.mean(tfl.metrics.categoricalCrossentropy(y, forward(four, x))) as tf.Scalar,
        true,
      ) as tf.Scalar;
      expect(cost).toBeAllClose(loss as number, { rtol: 1e-5 });
      tf.dispose([x, y, cost]);
    }
    for (const other of [two, three, four]) {
      values(other).forEach((each, i) => {
        expect(each).toBeAllClose(values(one)[i] as number[], { rtol: 1e-5, atol: 1e-6 });
      });
    }
  });

  it('rejects a model of another optimizer', async () => {
    const [one, other] = twins(classifier);
    const optimizer = own(plasticOptimizer(one, product()));
    other.compile({ optimizer, loss: 'categoricalCrossentropy' });
    const before = values(other);
    tf.engine().startScope(); // fit() leaks a tensor when it throws
    await expect(other.fit(random([3, 6, 6, 2], 1), oneHot(3, 3), { verbose: 0 })).rejects.toMatchObject({
      code: 'UNKNOWN_VARIABLE',
    });
    tf.engine().endScope();
    expect(values(other)).toEqual(before);
  });
});

describe('models', () => {
  it('may have several inputs and outputs', async () => {
    const [a, b] = [tfl.input({ shape: [4] }), tfl.input({ shape: [3] })];
    const first = tfl.layers.dense({ name: 'first', units: 3, activation: 'tanh' }).apply(a) as tfl.SymbolicTensor;
    const second = tfl.layers.dense({ name: 'second', units: 3, activation: 'tanh' }).apply(b) as tfl.SymbolicTensor;
    const joint = tfl.layers.add().apply([first, second]) as tfl.SymbolicTensor;
    const outputs = ['left', 'right'].map(
      (name) => tfl.layers.dense({ name, units: 2 }).apply(joint) as tfl.SymbolicTensor,
    );
    const model = own(tfl.model({ inputs: [a, b], outputs }));
    const optimizer = own(plasticOptimizer(model, { first: ghl(), second: hebb(), right: ghl(), '*': descend(0.1) }));
    model.compile({ optimizer, loss: ['meanSquaredError', 'meanSquaredError'] });
    const before = values(model);
    const xs = [random([8, 4], 1), random([8, 3], 2)];
    const ys = [random([8, 2], 3), random([8, 2], 4)];
    const { history } = await model.fit(xs, ys, { epochs: 10, verbose: 0 });
    expect(history.loss?.at(-1) as number).toBeLessThan(history.loss?.[0] as number);
    values(model).forEach((each, i) => {
      expect(each).not.toEqual(before[i]);
    });
  });

  it('treat a layer that is called twice as one layer with a larger batch', () => {
    const shared = () => tfl.layers.dense({ name: 'shared', units: 3, activation: 'tanh' });
    const [a, b] = [tfl.input({ shape: [4] }), tfl.input({ shape: [4] })];
    const twice = own(shared()); // a layer called twice outlives its model
    const outputs = [a, b].map((input) => twice.apply(input) as tfl.SymbolicTensor);
    const two = own(tfl.model({ inputs: [a, b], outputs }));
    const once = own(tfl.sequential({ layers: [tfl.layers.inputLayer({ inputShape: [4] }), shared()] }));
    once.setWeights(two.getWeights());
    const assignment = { shared: chain(local(maxAbs(bcm())), scaleBy(0.1)), '*': null };
    const [ofTwo, ofOnce] = [own(plasticOptimizer(two, assignment)), own(plasticOptimizer(once, assignment))];
    for (const seed of [1, 3, 5]) {
      const xs = [random([3, 4], seed), random([3, 4], seed + 1)];
      ofTwo.minimize(() => {
        two.apply(xs, { training: true });
      });
      ofOnce.minimize(() => {
        once.apply(tf.concat(xs), { training: true });
      });
      expect(variableOf(two, 'shared')).toBeAllClose(variableOf(once, 'shared'), { rtol: 1e-5, atol: 1e-6 });
    }
  });

  it('sum the gradients of a layer that is called twice', () => {
    const shared = own(tfl.layers.dense({ name: 'shared', units: 4, activation: 'tanh' }));
    const input = tfl.input({ shape: [4] });
    const output = shared.apply(shared.apply(input)) as tfl.SymbolicTensor;
    const model = own(tfl.model({ inputs: input, outputs: output }));
    const x = random([3, 4], 1);
    const kernel = variableOf(model, 'shared');
    const expected = tf.tidy(() =>
      Array.from((tf.variableGrads(lossOf(model, x), [kernel]).grads[kernel.name] as tf.Tensor).dataSync()),
    );
    const before = Array.from(kernel.dataSync());
    const optimizer = own(plasticOptimizer(model, { shared: threeFactor(rms(swta()), sign()), 'shared/bias': null }));
    optimizer.minimize(lossOf(model, x));
    const directions = Array.from(kernel.dataSync(), (after, i) => Math.sign(after - (before[i] as number)));
    expect(directions).toEqual(expected.map((each) => -Math.sign(each)));
  });

  it('may be nested, with selectors by path', () => {
    const nested = () => {
      const inner = tfl.sequential({
        name: 'inner',
        layers: [
          tfl.layers.dense({ name: 'dense', units: 4, activation: 'tanh', inputShape: [3] }),
          tfl.layers.dense({ name: 'last', units: 3 }),
        ],
      });
      return own(tfl.sequential({ layers: [inner, tfl.layers.dense({ name: 'outer', units: 2 })] })) as tfl.LayersModel;
    };
    const flat = () =>
      own(
        tfl.sequential({
          layers: [
            tfl.layers.dense({ name: 'a', units: 4, activation: 'tanh', inputShape: [3] }),
            tfl.layers.dense({ name: 'b', units: 3 }),
            tfl.layers.dense({ name: 'c', units: 2 }),
          ],
        }),
      );
    const [model, oracle] = [nested(), flat()];
    oracle.setWeights(model.getWeights());
    const optimizer = own(
      plasticOptimizer(model, { 'inner/dense': ghl(), inner: descend(0.1), outer: descend(0.2), '*': null }),
    );
    const expected = own(
      plasticOptimizer(oracle, { a: ghl(), 'a/bias': descend(0.1), b: descend(0.1), c: descend(0.2) }),
    );
    for (const seed of [1, 2, 3]) {
      const x = random([4, 3], seed);
      optimizer.minimize(lossOf(model, x));
      expected.minimize(lossOf(oracle, x));
    }
    expect(values(model)).toEqual(values(oracle));
  });

  it('may have recurrent and wrapped layers, which learn by the gradient', () => {
    const recurrent = () =>
      own(
        tfl.sequential({
          layers: [
            tfl.layers.bidirectional({
              name: 'both',
              layer: tfl.layers.gru({
                units: 2,
                recurrentInitializer: 'glorotUniform',
                returnSequences: true,
              }) as tfl.RNN,
              mergeMode: 'concat',
              inputShape: [3, 2],
            }),
            tfl.layers.timeDistributed({ name: 'each', layer: tfl.layers.dense({ units: 3 }) }),
            tfl.layers.lstm({ name: 'memory', units: 2, recurrentInitializer: 'glorotUniform' }),
          ],
        }),
      );
    const [ours, theirs] = twins(recurrent);
    const [optimizer, sgd] = [own(plasticOptimizer(ours, { '*': descend(0.1) })), own(tf.train.sgd(0.1))];
    const x = random([2, 3, 2], 1);
    const before = values(ours);
    optimizer.minimize(lossOf(ours, x));
    sgd.minimize(
      lossOf(theirs, x),
      false,
      theirs.trainableWeights.map((weight) => weight.read() as tf.Variable),
    );
    values(ours).forEach((each, i) => {
      expect(each).not.toEqual(before[i]);
      expect(each).toBeAllClose(values(theirs)[i] as number[], { rtol: 1e-5, atol: 1e-6 });
    });
  });
});

describe('custom loops', () => {
  it('return the cost on request, else null', () => {
    const model = classifier();
    const optimizer = own(plasticOptimizer(model, product()));
    const f = lossOf(model, random([2, 6, 6, 2], 1));
    expect(optimizer.minimize(f)).toBeNull();
    expect(optimizer.minimize(f, false)).toBeNull();
    expect(optimizer.minimize(f, {})).toBeNull();
    const expected = own(f());
    expect(own(optimizer.minimize(f, true) as tf.Scalar).dataSync()).toEqual(expected.dataSync());
    const next = own(f());
    expect(own(optimizer.minimize(f, { returnCost: true }) as tf.Scalar).dataSync()).toEqual(next.dataSync());
    expect(optimizer.step).toBe(5);
  });

  it.each<[string, (list: tf.Variable[]) => [boolean | StepOptions, tf.Variable[]?]]>([
    ['as third argument', (varList) => [false, varList]],
    ['in the options', (varList) => [{ varList }]],
    ['next to options', (varList) => [{ signals: { reward: 1 } }, varList]],
  ])('move only the variables in varList, %s', (_, args) => {
    const model = classifier();
    const optimizer = own(plasticOptimizer(model, product()));
    const before = values(model);
    const list = [variableOf(model, 'conv2'), variableOf(model, 'out', 1)];
    optimizer.minimize(lossOf(model, random([2, 6, 6, 2], 1)), ...args(list));
    const moved = values(model).map((each, i) => String(each) !== String(before[i]));
    expect(moved).toEqual([false, false, true, false, false, true]);
  });

  it('refuse a variable of another model', () => {
    const [one, other] = twins(classifier);
    const optimizer = own(plasticOptimizer(one, product()));
    expect(() => optimizer.minimize(lossOf(one, random([2, 6, 6, 2], 1)), false, [variableOf(other, 'conv1')])).toThrow(
      expect.objectContaining({ code: 'UNKNOWN_VARIABLE' }),
    );
  });

  it('accept a function without a result if the loss and the gradient are not read', () => {
    const model = classifier();
    const optimizer = own(plasticOptimizer(model, { conv1: hebb(), conv2: hebb(), '*': null }));
    const before = values(model);
    const x = random([2, 6, 6, 2], 1);
    optimizer.minimize(() => {
      forward(model, x);
    });
    const moved = values(model).map((each, i) => String(each) !== String(before[i]));
    expect(moved).toEqual([true, false, true, false, false, false]);
  });

  it.each<[string, Assignment]>([
    ['the gradient', { conv1: ghl(), '*': null }],
    ['the loss', { conv1: threeFactor(oja(), scalar({ on: 'loss' })), '*': null }],
    ['the gradient, by a tfjs optimizer', { '*': tf.train.sgd(0.1) }],
  ])('refuse a function without a result if %s is read', (_, assignment) => {
    const model = classifier();
    const optimizer = own(plasticOptimizer(model, assignment));
    const before = values(model);
    const f = () => {
      forward(model, random([2, 6, 6, 2], 1));
    };
    expect(() => optimizer.minimize(f)).toThrow(expect.objectContaining({ code: 'NO_LOSS' }));
    expect(values(model)).toEqual(before);
    expect(optimizer.step).toBe(0);
  });

  it('read the loss from the signals if f returns none', () => {
    const model = classifier();
    const optimizer = own(
      plasticOptimizer(model, { conv1: threeFactor(maxAbs(oja()), scalar({ on: 'lossDifference' })), '*': null }),
    );
    const x = random([2, 6, 6, 2], 1);
    const f = () => {
      forward(model, x);
    };
    optimizer.minimize(f, { signals: { loss: 2 } });
    const before = values(model);
    optimizer.minimize(f, { signals: { loss: 1 } });
    expect(values(model)).not.toEqual(before);
  });

  it('refuse a loss that is not a scalar, and one that depends on no weight', () => {
    const model = classifier();
    const optimizer = own(plasticOptimizer(model, product()));
    const x = random([2, 6, 6, 2], 1);
    expect(() => optimizer.minimize(() => forward(model, x) as tf.Scalar)).toThrow(
      expect.objectContaining({ code: 'LOSS_SHAPE' }),
    );
    expect(() => optimizer.minimize((() => 3) as never)).toThrow(expect.objectContaining({ code: 'NOT_A_LOSS' }));
    expect(() => optimizer.minimize(() => tf.scalar(1))).toThrow(expect.objectContaining({ code: 'NO_GRADIENT' }));
  });

  it('move no weight that the step does not reach', () => {
    const input = tfl.input({ shape: [4] });
    const [left, right] = ['left', 'right'].map(
      (name) => tfl.layers.dense({ name, units: 2 }).apply(input) as tfl.SymbolicTensor,
    );
    const model = own(tfl.model({ inputs: input, outputs: [left, right] as tfl.SymbolicTensor[] }));
    const leftOnly = tfl.model({ inputs: input, outputs: left as tfl.SymbolicTensor });
    const decayed = chain(gradientDescent(), decayWeights(0.1), scaleBy(0.1));
    const optimizer = own(plasticOptimizer(model, { right: chain(local(oja()), decayWeights(0.1)), '*': decayed }));
    const before = values(model);
    const x = random([3, 4], 1);
    optimizer.minimize(lossOf(leftOnly, x));
    expect(values(model).map((each, i) => String(each) !== String(before[i]))).toEqual([true, true, false, false]);
  });
});

/** The kernels that a step runs. */
async function kernelsOf(step: () => void): Promise<string[]> {
  const { kernels, result } = await tf.profile(() => {
    step();
    return tf.scalar(0);
  });
  (result as tf.Scalar).dispose();
  return kernels.map(({ name }) => name);
}

const count = (kernels: readonly string[], name: string) => kernels.filter((each) => each === name).length;

describe('the kernels of a step', () => {
  it('are those of the forward pass and the rule if nothing reads the gradient', async () => {
    const model = classifier();
    const optimizer = own(plasticOptimizer(model, { conv1: hebb(), out: hebb(), '*': null }));
    const x = random([2, 6, 6, 2], 1);
    const kernels = await kernelsOf(() => optimizer.minimize(lossOf(model, x)));
    expect(count(kernels, 'Conv2D') + count(kernels, 'FusedConv2D')).toBe(2);
    expect(count(kernels, 'Conv2DBackpropFilter')).toBe(1);
    expect(count(kernels, 'Conv2DBackpropInput')).toBe(0);
    // The dense layer, and its correlation.
    expect(count(kernels, 'BatchMatMul') + count(kernels, '_FusedMatMul')).toBe(2);
  });

  it('propagate the gradient only as far as a reader needs it', async () => {
    const model = classifier();
    const x = random([2, 6, 6, 2], 1);
    const run = (assignment: Assignment) => {
      const optimizer = own(plasticOptimizer(model, assignment));
      return kernelsOf(() => optimizer.minimize(lossOf(model, x)));
    };
    const top = await run({ out: ghl(), '*': null });
    expect([count(top, 'Conv2DBackpropFilter'), count(top, 'Conv2DBackpropInput')]).toEqual([0, 0]);
    const middle = await run({ conv2: ghl(), '*': null });
    expect([count(middle, 'Conv2DBackpropFilter'), count(middle, 'Conv2DBackpropInput')]).toEqual([1, 0]);
    const both = await run({ conv1: ghl(), conv2: ghl(), '*': null });
    expect([count(both, 'Conv2DBackpropFilter'), count(both, 'Conv2DBackpropInput')]).toEqual([2, 1]);
    const mixed = await run({ conv1: hebb(), conv2: ghl(), '*': null });
    expect([count(mixed, 'Conv2DBackpropFilter'), count(mixed, 'Conv2DBackpropInput')]).toEqual([2, 0]);
  });
});

describe('several optimizers', () => {
  it('have separate steps and states', () => {
    const [model, oracle] = twins(classifier);
    const make = (on: tfl.LayersModel): [PlasticOptimizer, PlasticOptimizer] => [
      own(plasticOptimizer(on, { conv1: hebb(0.1), '*': null })),
      own(plasticOptimizer(on, { conv2: chain(local(maxAbs(bcm())), scaleBy(cosine(0.1, 4))), '*': null })),
    ];
    const [first, second] = make(model);
    const x = random([2, 6, 6, 2], 1);
    first.minimize(lossOf(model, x));
    second.minimize(lossOf(model, x));
    first.minimize(lossOf(model, x));
    second.minimize(lossOf(model, x));
    first.minimize(lossOf(model, x));
    expect([first.step, second.step]).toEqual([3, 2]);

    // The first optimizer moves a layer that the layer above does not affect. The second sees the first layer move.
    const [alone] = make(oracle);
    for (let step = 0; step < 3; step++) alone.minimize(lossOf(oracle, x));
    expect(values(model)[0]).toEqual(values(oracle)[0]);
  });

  it('may run inside each other', () => {
    const [model, oracle] = twins(classifier);
    const x = random([2, 6, 6, 2], 1);
    const assignments = [
      { conv1: ghl(), '*': null },
      { conv2: ghl(), out: descend(0.1), '*': null },
    ] as const;
    const [outer, inner] = assignments.map((each) => own(plasticOptimizer(model, each)));
    outer?.minimize(() => {
      inner?.minimize(lossOf(model, x));
      return lossOf(model, x)();
    });
    const [first, second] = assignments.map((each) => own(plasticOptimizer(oracle, each)));
    second?.minimize(lossOf(oracle, x));
    first?.minimize(lossOf(oracle, x));
    expect(values(model)).toEqual(values(oracle));
    expect([outer?.step, inner?.step]).toEqual([1, 1]);
  });
});

describe('an error inside a step', () => {
  it.each<[string, Assignment, () => never | tf.Scalar]>([
    [
      'in f, before the model',
      product(),
      () => {
        throw new Error('mine');
      },
    ],
    [
      'in f, without a backward pass',
      { conv1: hebb(), '*': null },
      () => {
        throw new Error('mine');
      },
    ],
  ])('reaches the caller, and leaves layers and memory unchanged: %s', (_, assignment, fail) => {
    const model = classifier();
    const optimizer = own(plasticOptimizer(model, assignment));
    const before = values(model);
    const calls = model.layers.map((layer) => layer.call);
    const x = random([2, 6, 6, 2], 1);
    const tensors = tf.memory().numTensors;
    expect(() => optimizer.minimize(fail)).toThrow('mine');
    expect(() =>
      optimizer.minimize(() => {
        lossOf(model, x)();
        return fail();
      }),
    ).toThrow('mine');
    expect(tf.memory().numTensors).toBe(tensors);
    expect(model.layers.map((layer) => layer.call)).toEqual(calls);
    expect(model.layers.some((layer) => Object.hasOwn(layer, 'call'))).toBe(false);
    expect(values(model)).toEqual(before);
    expect(optimizer.step).toBe(0);
    optimizer.minimize(lossOf(model, x));
    expect(values(model)).not.toEqual(before);
  });

  it('leaks no memory if a signal fails during the backward pass', () => {
    const model = classifier();
    const optimizer = own(
      plasticOptimizer(model, {
        conv1: threeFactor(oja(), scalar({ per: 'example' })),
        '*': descend(0.1),
        conv2: ghl(),
      }),
    );
    const before = values(model);
    const x = random([2, 6, 6, 2], 1);
    const tensors = tf.memory().numTensors;
    const wrong = random([3], 1);
    expect(() => optimizer.minimize(lossOf(model, x), { signals: { reward: wrong } })).toThrow(
      expect.objectContaining({ code: 'SIGNAL_SHAPE' }),
    );
    expect(tf.memory().numTensors).toBe(tensors + 1);
    expect(values(model)).toEqual(before);
    expect(model.layers.some((layer) => Object.hasOwn(layer, 'call'))).toBe(false);
  });
});

describe('memory', () => {
  const reward = { signals: { reward: () => tf.tensor1d([1, 0.5]) } };
  it.each<[string, Plasticity, StepOptions]>([
    ['swta × sign', ghl(), {}],
    ['bcm', hebb(), {}],
    ['hpca × gate', chain(threeFactor(maxAbs(hpca()), gate({ on: 'surprise', threshold: 0.1 })), scaleBy(0.1)), reward],
    ['oja × scalar per example', chain(threeFactor(oja(), scalar({ per: 'example' })), scaleBy(1e-3)), reward],
    ['oja × scalar on loss', chain(threeFactor(maxAbs(oja()), scalar({ on: 'loss' })), scaleBy(0.1)), {}],
    ['constant × sign', chain(threeFactor(constant(), sign()), scaleBy(1e-3)), {}],
    ['gradient', descend(0.1), {}],
  ])('holds as many tensors after 200 steps as before: %s', (_, head, options) => {
    const model = own(
      tfl.sequential({
        layers: [
          tfl.layers.conv2d({ name: 'conv', filters: 2, kernelSize: 2, inputShape: [3, 3, 1] }),
          tfl.layers.flatten(),
          tfl.layers.dense({ name: 'out', units: 2 }),
        ],
      }),
    );
    const optimizer = own(plasticOptimizer(model, { conv: head, '*': descend(0.1) }));
    const x = random([2, 3, 3, 1], 1);
    const before = tf.memory().numTensors;
    for (let step = 0; step < 200; step++) {
      optimizer.minimize(lossOf(model, x), { ...options, returnCost: true })?.dispose();
    }
    expect(tf.memory().numTensors).toBe(before);
  });

  it('holds only the moments of a tfjs optimizer', () => {
    const model = classifier();
    const adam = own(tf.train.adam(0.01));
    const optimizer = own(plasticOptimizer(model, { conv1: ghl(), '*': adam }));
    const x = random([2, 6, 6, 2], 1);
    optimizer.minimize(lossOf(model, x));
    const before = tf.memory().numTensors;
    for (let step = 0; step < 50; step++) optimizer.minimize(lossOf(model, x));
    expect(tf.memory().numTensors).toBe(before);
  });
});
