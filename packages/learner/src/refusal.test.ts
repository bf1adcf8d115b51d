/** A step that is not finite, or that throws, changes nothing, for every updater. */
import '@tensorflow/tfjs-backend-cpu';
import { chain, decayWeights, gradientDescent, local, maxAbs, scaleBy, type Transform, threeFactor } from '@ghl/core';
import { specOf } from '@ghl/core/plugin';
import { scalar } from '@ghl/modulator-scalar';
import { sign } from '@ghl/modulator-sign';
import { bcm } from '@ghl/rule-bcm';
import { oja } from '@ghl/rule-oja';
import { swta } from '@ghl/rule-swta';
import * as tf from '@tensorflow/tfjs-core';
import * as tfd from '@tensorflow/tfjs-data';
import * as tfl from '@tensorflow/tfjs-layers';
import { beforeAll, describe, expect, it } from 'vitest';
import { type Assignment, type PlasticOptimizer, plasticOptimizer } from './index.js';
import { forward, lossOf, own, ownTf, random, tfOptimizers, twins, values } from './model.fixture.js';
import { MovingMean } from './moving-mean.fixture.js';

beforeAll(async () => {
  await tf.setBackend('cpu');
});

const rest = chain(gradientDescent(), scaleBy(0.05));
/** Keeps a trace as large as the weights. */
const momentum = (): Transform => ({
  spec: specOf('momentum'),
  init: (shape) => ({ trace: tf.zeros([...shape]) }),
  update: (increment, _, { trace }) => {
    const next = tf.add(tf.mul(trace as tf.Tensor, 0.9), increment);
    return { increment: next, state: { trace: next } };
  },
});

/**
 * Dense layers, and each kind of weight that a forward pass moves: of tfjs, of a custom layer and of a nested model.
 */
function net(): tfl.LayersModel {
  const inner = tfl.input({ shape: [4] });
  let nested: unknown = inner;
  for (const layer of [
    tfl.layers.dense({ name: 'first', units: 3, useBias: false }),
    tfl.layers.batchNormalization({ name: 'norm', momentum: 0.5 }),
    tfl.layers.activation({ activation: 'tanh' }),
  ]) {
    nested = layer.apply(nested as tfl.SymbolicTensor);
  }
  const input = tfl.input({ shape: [4] });
  let x = tfl.model({ name: 'inner', inputs: inner, outputs: nested as tfl.SymbolicTensor }).apply(input);
  for (const layer of [
    new MovingMean({ name: 'mean' }),
    tfl.layers.dense({ name: 'second', units: 3, activation: 'tanh' }),
    tfl.layers.batchNormalization({ name: 'norm', momentum: 0.5 }),
    tfl.layers.dense({ name: 'out', units: 2 }),
  ] as tfl.layers.Layer[]) {
    x = layer.apply(x);
  }
  return own(tfl.model({ inputs: input, outputs: x as tfl.SymbolicTensor }));
}

/** All values that a step may change. Includes the step counts, which a refused step increments, only on request. */
async function everything(model: tfl.LayersModel, optimizer: PlasticOptimizer, counts = false) {
  tf.engine().startScope(); // tfjs leaks the copy of the iterations that its own optimizers return
  // Adamax has no getWeights(), so the next step reveals its state.
  const state = (await optimizer.getWeights().catch(() => []))
    .filter(({ name }) => counts || (name !== 'step' && !name.endsWith('//iter')))
    .map(({ name, tensor }) => [name.replace(/_\d+/, ''), Array.from(tensor.dataSync())]);
  tf.engine().endScope();
  return [values(model), state];
}

// Centered RMSProp computes NaN for a gradient near 0.
const optimizers = tfOptimizers.filter(([name]) => name !== 'rmsprop, centered');

const plans: [string, () => Assignment][] = [
  ['gradient descent', () => ({ '*': rest })],
  [
    'rules with state',
    () => ({
      'inner/first': chain(
        threeFactor(maxAbs(bcm()), scalar({ on: 'loss', baseline: 0.5 })),
        momentum(),
        scaleBy(0.05),
      ),
      second: chain(threeFactor(maxAbs(swta()), sign()), decayWeights(0.1), scaleBy(0.05)),
      '*': rest,
    }),
  ],
  [
    'a rule alone, with all else frozen',
    () => ({ 'inner/first': chain(local(maxAbs(oja())), scaleBy(0.05)), '*': null }),
  ],
  ...optimizers.map(([name, make]): [string, () => Assignment] => [
    `tf.train.${name} and a rule`,
    () => ({ second: chain(local(maxAbs(oja())), scaleBy(0.05)), '*': ownTf(make()) }),
  ]),
];

const [good, other] = [[6, 4] as const, [6, 4] as const].map((shape, i) => () => random([...shape], i + 1)) as [
  () => tf.Tensor,
  () => tf.Tensor,
];
const withRow = (value: number) => own(tf.tidy(() => tf.concat([tf.fill([1, 4], value), tf.zeros([5, 4])])));
const batches: [string, () => tf.Tensor][] = [
  ['a NaN', () => withRow(Number.NaN)],
  ['an infinity', () => withRow(Number.POSITIVE_INFINITY)],
  ['numbers whose squares overflow', () => own(tf.mul(random([6, 4], 3), 1e30))],
];

describe.each(plans)('under %s', (_, plan) => {
  it.each(batches)('a batch with %s changes nothing, and the next steps continue', async (_name, bad) => {
    const [model, oracle] = twins(net);
    const [optimizer, never] = [own(plasticOptimizer(model, plan())), own(plasticOptimizer(oracle, plan()))];
    for (const [each, its] of [
      [optimizer, model],
      [never, oracle],
    ] as const)
      each.minimize(lossOf(its, good()));
    const before = await everything(model, optimizer);
    const batch = bad();
    const { numTensors } = tf.memory();
    optimizer.minimize(lossOf(model, batch));
    await expect(optimizer.checkFinite()).rejects.toMatchObject({ code: 'NON_FINITE_STEP' });
    expect(tf.memory().numTensors).toBe(numTensors);
    expect(await everything(model, optimizer)).toEqual(before);
    expect(optimizer.step).toBe(2);
    optimizer.minimize(lossOf(model, other()));
    never.minimize(lossOf(oracle, other()));
    await optimizer.checkFinite();
    expect(await everything(model, optimizer)).toEqual(await everything(oracle, never));
  });
});

const descent = (): Assignment => ({ '*': rest });
const nan = () => own(tf.fill([6, 4], Number.NaN));

describe('a step with finite loss and gradients', () => {
  it('is refused if a statistic overflows, with its name', async () => {
    const norm = tfl.layers.batchNormalization({ name: 'norm', inputShape: [2] });
    const model = own(tfl.sequential({ layers: [norm, tfl.layers.dense({ name: 'out', units: 1 })] }));
    const optimizer = own(plasticOptimizer(model, descent()));
    const x = own(tf.tensor2d([1e30, 1, -1e30, 2], [2, 2]));
    const before = values(model);
    const loss = own(optimizer.minimize(lossOf(model, x), true) as tf.Scalar);
    expect(Number.isFinite(loss.dataSync()[0])).toBe(true);
    expect(values(model)).toEqual(before);
    await expect(optimizer.checkFinite()).rejects.toMatchObject({
      code: 'NON_FINITE_STEP',
      message: expect.stringMatching(/^Step 1: .*norm\/moving_variance/),
    });
  });

  it('is refused if a moment of a tfjs optimizer overflows', async () => {
    const model = own(tfl.sequential({ layers: [tfl.layers.dense({ name: 'out', units: 1, inputShape: [1] })] }));
    const optimizer = own(plasticOptimizer(model, { '*': ownTf(tf.train.adagrad(0.1)) }));
    const x = own(tf.ones([1, 1]));
    optimizer.minimize(lossOf(model, x));
    const before = await everything(model, optimizer);
    optimizer.minimize(() => tf.mul(tf.mean(forward(model, x)), 1e30) as tf.Scalar);
    expect(await everything(model, optimizer)).toEqual(before);
    await expect(optimizer.checkFinite()).rejects.toMatchObject({
      message: expect.stringMatching(/^Step 2: the state of the optimizer of '\*'/),
    });
  });

  it('is refused if the state of a transform overflows', async () => {
    const growing: Transform = {
      spec: specOf('growing'),
      init: () => ({ sum: tf.scalar(1) }),
      update: (increment, _, { sum }) => ({ increment, state: { sum: tf.mul(sum as tf.Tensor, 1e30) } }),
    };
    const model = net();
    const optimizer = own(plasticOptimizer(model, { second: chain(local(maxAbs(oja())), growing), '*': rest }));
    optimizer.minimize(lossOf(model, good()));
    const before = await everything(model, optimizer);
    optimizer.minimize(lossOf(model, good()));
    expect(await everything(model, optimizer)).toEqual(before);
    await expect(optimizer.checkFinite()).rejects.toMatchObject({
      message: expect.stringMatching(/^Step 2: .*second\/kernel/),
    });
  });

  it('is refused if the sum of weights and increment overflows', async () => {
    const model = own(tfl.sequential({ layers: [tfl.layers.dense({ name: 'out', units: 1, inputShape: [1] })] }));
    model.setWeights([own(tf.tensor2d([3e38], [1, 1])), own(tf.tensor1d([0]))]);
    const optimizer = own(plasticOptimizer(model, { out: chain(gradientDescent(), scaleBy(-3e38)) }));
    const before = values(model);
    optimizer.minimize(() => tf.mean(forward(model, own(tf.ones([1, 1])))) as tf.Scalar);
    expect(values(model)).toEqual(before);
    await expect(optimizer.checkFinite()).rejects.toMatchObject({ code: 'NON_FINITE_STEP' });
  });
});

it('a value that is infinite before and after a step does not refuse it', async () => {
  /** Stores the largest activity of each unit; some may stay at −∞. */
  class Largest extends tfl.layers.Layer {
    static className = 'Largest';
    #largest!: tfl.LayerVariable;

    override build(): void {
      const start = tfl.initializers.constant({ value: Number.NEGATIVE_INFINITY });
      this.#largest = this.addWeight('largest', [3], 'float32', start, undefined, false);
      this.built = true;
    }

    override call(inputs: tf.Tensor[]): tf.Tensor {
      const x = tf.add(inputs[0] as tf.Tensor, [0, 0, Number.NEGATIVE_INFINITY]);
      this.#largest.write(tf.maximum(this.#largest.read(), tf.max(x, 0)));
      return tf.clone(inputs[0] as tf.Tensor);
    }
  }
  const layers = [tfl.layers.dense({ units: 3, inputShape: [4] }), new Largest({ name: 'largest' })];
  const model = own(tfl.sequential({ layers: layers as tfl.layers.Layer[] }));
  const optimizer = own(plasticOptimizer(model, descent()));
  const before = values(model);
  optimizer.minimize(lossOf(model, good()));
  await optimizer.checkFinite();
  expect(values(model)[0]).not.toEqual(before[0]);
  expect(values(model)[2]?.map(Number.isFinite)).toEqual([true, true, false]);
  const between = values(model);
  optimizer.minimize(lossOf(model, nan()));
  expect(values(model)).toEqual(between);
  await expect(optimizer.checkFinite()).rejects.toMatchObject({ code: 'NON_FINITE_STEP' });
});

it.each(['simpleRNN', 'gru', 'lstm'] as const)('a refused step keeps the state of a stateful %s', async (kind) => {
  const make = () => {
    const options = { units: 2, stateful: true, recurrentInitializer: 'glorotNormal' as const };
    const layer = tfl.layers[kind]({ ...options, batchInputShape: [6, 2, 2] } as never) as tfl.layers.Layer;
    return own(tfl.sequential({ layers: [layer, tfl.layers.dense({ units: 1 })] }));
  };
  const [model, oracle] = twins(make);
  const [optimizer, never] = [own(plasticOptimizer(model, descent())), own(plasticOptimizer(oracle, descent()))];
  const batch = (x: tf.Tensor) => own(tf.reshape(x, [6, 2, 2]));
  const batches = [batch(good()), batch(other())];
  optimizer.minimize(lossOf(model, batches[0] as tf.Tensor));
  never.minimize(lossOf(oracle, batches[0] as tf.Tensor));
  optimizer.minimize(lossOf(model, batch(nan())));
  await expect(optimizer.checkFinite()).rejects.toMatchObject({ code: 'NON_FINITE_STEP' });
  optimizer.minimize(lossOf(model, batches[1] as tf.Tensor));
  never.minimize(lossOf(oracle, batches[1] as tf.Tensor));
  await optimizer.checkFinite();
  expect(values(model)).toEqual(values(oracle));
  for (const each of [model, oracle]) {
    each.resetStates();
    tf.dispose((each.layers[0] as unknown as { states_: tf.Tensor[] }).states_);
  }
});

describe('every way to train', () => {
  const [inputs, labels] = [
    () => own(tf.concat([good(), nan(), other()])),
    () => own(tf.concat([random([6, 2], 4), random([6, 2], 5), random([6, 2], 6)])),
  ];
  const ways: [string, (model: tfl.LayersModel, xs: tf.Tensor, ys: tf.Tensor) => Promise<unknown>][] = [
    ['fit()', (model, xs, ys) => model.fit(xs, ys, { batchSize: 6, shuffle: false, verbose: 0 })],
    [
      'fitDataset()',
      (model, xs, ys) =>
        model.fitDataset(
          tfd.generator(function* () {
            for (let i = 0; i < xs.shape[0]; i += 6) yield { xs: tf.slice(xs, [i], [6]), ys: tf.slice(ys, [i], [6]) };
          } as never) as tfd.Dataset<tf.TensorContainer>,
          { epochs: 1, verbose: 0 },
        ),
    ],
    [
      'trainOnBatch()',
      async (model, xs, ys) => {
        for (let i = 0; i < xs.shape[0]; i += 6) {
          await model.trainOnBatch(own(tf.slice(xs, [i], [6])), own(tf.slice(ys, [i], [6])));
        }
      },
    ],
  ];
  it.each(ways)('keeps the model unchanged by a bad batch: %s', async (_, train) => {
    const [model, oracle] = twins(net);
    const [optimizer, never] = [own(plasticOptimizer(model, descent())), own(plasticOptimizer(oracle, descent()))];
    model.compile({ optimizer, loss: 'meanSquaredError' });
    oracle.compile({ optimizer: never, loss: 'meanSquaredError' });
    const [xs, ys] = [inputs(), labels()];
    const [firstX, firstY] = [own(tf.slice(xs, [0], [12])), own(tf.slice(ys, [0], [12]))];
    tf.engine().startScope(); // tfjs leaks tensors when fit() throws
    const thrown = await Promise.resolve(train(model, firstX, firstY))
      .then(() => optimizer.checkFinite())
      .then(
        () => null,
        (error) => error,
      );
    tf.engine().endScope();
    expect(thrown).toMatchObject({ code: 'NON_FINITE_STEP' });
    await train(oracle, own(tf.slice(xs, [0], [6])), own(tf.slice(ys, [0], [6])));
    expect(await everything(model, optimizer)).toEqual(await everything(oracle, never));
    const last = [own(tf.slice(xs, [12], [6])), own(tf.slice(ys, [12], [6]))] as const;
    await train(model, ...last);
    await train(oracle, ...last);
    await optimizer.checkFinite();
    expect(await everything(model, optimizer)).toEqual(await everything(oracle, never));
  });

  it('keeps the model unchanged in computeGradients() and applyGradients()', async () => {
    const model = net();
    const optimizer = own(plasticOptimizer(model, descent()));
    const step = (x: tf.Tensor) => {
      const { value, grads } = optimizer.computeGradients(lossOf(model, x));
      optimizer.applyGradients(grads);
      tf.dispose([value, grads]);
    };
    step(good());
    const before = await everything(model, optimizer);
    step(nan());
    expect(await everything(model, optimizer)).toEqual(before);
    await expect(optimizer.checkFinite()).rejects.toMatchObject({ code: 'NON_FINITE_STEP' });
    step(other());
    await optimizer.checkFinite();
    expect(await everything(model, optimizer)).not.toEqual(before);
  });
});

describe('a step that throws undoes its forward pass', () => {
  const broken = (): Transform => ({
    spec: specOf('broken'),
    init: () => ({}),
    update: (increment, { step }, state) => {
      if (step > 0) throw new RangeError('mine');
      return { increment, state };
    },
  });
  class Broken extends (tfl.constraints.nonNeg().constructor as new () => { apply(w: tf.Tensor): tf.Tensor }) {
    #calls = 0;

    override apply(w: tf.Tensor): tf.Tensor {
      if (this.#calls++ > 0) throw new RangeError('mine');
      return w;
    }
  }
  const constrained = () => {
    const model = net();
    Object.assign(model.getLayer('out').weights[0] as object, { constraint: new Broken() });
    return model;
  };
  const mixed = (): Assignment => ({
    second: chain(threeFactor(maxAbs(bcm()), scalar()), scaleBy(0.05)),
    out: ownTf(tf.train.adam(0.1)),
    '*': rest,
  });
  const ways: [
    string,
    () => tfl.LayersModel,
    () => Assignment,
    (optimizer: PlasticOptimizer, model: tfl.LayersModel) => unknown,
    object,
  ][] = [
    [
      'a signal of the wrong shape',
      net,
      mixed,
      (o, m) => o.minimize(lossOf(m, good()), { signals: { reward: () => own(tf.zeros([7])) } }),
      { code: 'SIGNAL_SHAPE' },
    ],
    [
      'a signal that throws',
      net,
      mixed,
      (o, m) =>
        o.minimize(lossOf(m, good()), {
          signals: {
            reward: () => {
              throw new RangeError('mine');
            },
          },
        }),
      { message: 'mine' },
    ],
    [
      'the forward pass',
      net,
      mixed,
      (o, m) =>
        o.minimize(
          () => {
            lossOf(m, good())();
            throw new RangeError('mine');
          },
          { signals: { reward: 1 } },
        ),
      { message: 'mine' },
    ],
    [
      'a forward pass without a loss',
      net,
      descent,
      (o, m) => o.minimize(() => void lossOf(m, good())().dispose()),
      { code: 'NO_LOSS' },
    ],
    [
      'a transform',
      net,
      () => ({ second: chain(local(oja()), broken()), out: ownTf(tf.train.adam(0.1)), '*': rest }),
      (o, m) => o.minimize(lossOf(m, good())),
      { message: 'mine' },
    ],
    [
      'a constraint, under a tfjs optimizer',
      constrained,
      mixed,
      (o, m) => o.minimize(lossOf(m, good()), { signals: { reward: 1 } }),
      { message: 'mine' },
    ],
    [
      'a constraint, under a plasticity',
      constrained,
      descent,
      (o, m) => o.minimize(lossOf(m, good())),
      { message: 'mine' },
    ],
    [
      'computeGradients()',
      net,
      descent,
      (o, m) =>
        o.computeGradients(() => {
          lossOf(m, good())();
          throw new RangeError('mine');
        }),
      { message: 'mine' },
    ],
  ];
  it.each(ways)('changes nothing: %s', async (_, make, plan, act, error) => {
    const model = make();
    const optimizer = own(plasticOptimizer(model, plan()));
    optimizer.minimize(lossOf(model, good()), { signals: { reward: 1 } });
    const before = await everything(model, optimizer, true);
    tf.engine().startScope();
    expect(() => act(optimizer, model)).toThrow(expect.objectContaining(error));
    tf.engine().endScope();
    expect(await everything(model, optimizer, true)).toEqual(before);
    expect(optimizer.step).toBe(1);
  });

  it('changes nothing for labels of the wrong shape in fitDataset()', async () => {
    const model = net();
    const optimizer = own(plasticOptimizer(model, descent()));
    model.compile({ optimizer, loss: 'meanSquaredError' });
    const before = await everything(model, optimizer);
    const bad = tfd.generator(function* () {
      yield { xs: tf.zeros([6, 4]), ys: tf.zeros([6, 1]) };
    } as never) as tfd.Dataset<tf.TensorContainer>;
    tf.engine().startScope();
    await expect(model.fitDataset(bad, { epochs: 1, verbose: 0 })).rejects.toMatchObject({ code: 'LABEL_SHAPE' });
    tf.engine().endScope();
    expect(await everything(model, optimizer)).toEqual(before);
  });
});

describe('inside the function given to minimize()', () => {
  it('a refused step restores a variable of the user, and a good step keeps it', async () => {
    const model = net();
    const optimizer = own(plasticOptimizer(model, descent()));
    const mine = own(tf.variable(own(tf.scalar(0))));
    const { assign } = tf.Variable.prototype;
    const f = (x: tf.Tensor) => () => {
      mine.assign(tf.add(mine, 1));
      return lossOf(model, x)();
    };
    optimizer.minimize(f(good()));
    optimizer.minimize(f(nan()));
    expect(mine.dataSync()[0]).toBe(1);
    await expect(optimizer.checkFinite()).rejects.toMatchObject({ code: 'NON_FINITE_STEP' });
    expect(tf.Variable.prototype.assign).toBe(assign);
  });

  it('a step of another optimizer is committed on its own', async () => {
    const [model, oracle] = twins(net);
    const plan = (layer: string) => ({ [layer]: rest, '*': null });
    const [outer, inner, alone] = [
      own(plasticOptimizer(model, plan('out'))),
      own(plasticOptimizer(model, plan('second'))),
      own(plasticOptimizer(oracle, plan('second'))),
    ];
    outer.minimize(() => {
      inner.minimize(lossOf(model, good()));
      return lossOf(model, nan())();
    });
    alone.minimize(lossOf(oracle, good()));
    await expect(outer.checkFinite()).rejects.toMatchObject({ code: 'NON_FINITE_STEP' });
    await inner.checkFinite();
    expect(values(model)).toEqual(values(oracle));
    expect((await inner.getWeights())[0]?.tensor.dataSync()[0]).toBe(1);
  });
});
