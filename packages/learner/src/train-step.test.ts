import '@tensorflow/tfjs-backend-cpu';
import { chain, decayWeights, gradientDescent, local, maxAbs, scaleBy, type Transform, threeFactor } from '@ghl/core';
import { specOf } from '@ghl/core/plugin';
import { sign } from '@ghl/modulator-sign';
import { bcm } from '@ghl/rule-bcm';
import { oja } from '@ghl/rule-oja';
import { swta } from '@ghl/rule-swta';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { beforeAll, describe, expect, it } from 'vitest';
import { type Assignment, type PlasticOptimizer, plasticOptimizer } from './index.js';
import { lossOf, own, random, twins, values } from './model.fixture.js';

beforeAll(async () => {
  await tf.setBackend('cpu');
});

const rest = chain(gradientDescent(), scaleBy(0.1));

function net(): tfl.LayersModel {
  return own(
    tfl.sequential({
      layers: [
        tfl.layers.dense({ name: 'first', units: 3, activation: 'tanh', inputShape: [4] }),
        tfl.layers.dense({ name: 'second', units: 3, activation: 'tanh' }),
        tfl.layers.dense({ name: 'out', units: 2 }),
      ],
    }),
  );
}

const stateOf = async (optimizer: PlasticOptimizer) =>
  (await optimizer.getWeights()).map(({ name, tensor }) => [name, Array.from(tensor.dataSync())]);

/** A custom transform that throws at one step. */
const failing = (bad: number, how: (increment: tf.Tensor) => tf.Tensor): Transform => ({
  spec: specOf('failing', bad),
  init: () => ({ seen: tf.scalar(0) }),
  update: (increment, { step }, { seen }) => ({
    increment: step === bad ? how(increment) : increment,
    state: { seen: tf.add(seen, 1) },
  }),
});

describe('a step that throws', () => {
  const ways: [string, (increment: tf.Tensor) => tf.Tensor, string | RegExp][] = [
    [
      'a custom error',
      () => {
        throw new RangeError('mine');
      },
      /mine/,
    ],
    ['an increment that would be broadcast', (increment) => tf.sum(increment, 0), /increment has the shape \[3\]/],
  ];

  it.each(ways)('changes nothing if a transform throws: %s', async (_, how, message) => {
    const model = net();
    const optimizer = own(
      plasticOptimizer(model, {
        first: chain(local(maxAbs(bcm())), scaleBy(0.1)),
        second: chain(threeFactor(maxAbs(swta()), sign()), failing(1, how), scaleBy(0.1)),
        out: own(tf.train.adam(0.1)),
        '*': rest,
      }),
    );
    const [x, y] = [random([5, 4], 1), random([5, 4], 2)];
    optimizer.minimize(lossOf(model, x));
    tf.engine().startScope(); // tfjs leaks the copy of the iterations that its own optimizers return
    const [weights, state] = [values(model), await stateOf(optimizer)];
    const { numTensors } = tf.memory();
    expect(() => optimizer.minimize(lossOf(model, y))).toThrow(message);
    expect(tf.memory().numTensors).toBe(numTensors);
    expect(values(model)).toEqual(weights);
    expect(await stateOf(optimizer)).toEqual(state);
    tf.engine().endScope();
    expect(optimizer.step).toBe(1);
  });

  it('does not affect the next step', () => {
    let failures = 1;
    const once = (increment: tf.Tensor) => {
      if (failures-- > 0) throw new RangeError('mine');
      return increment;
    };
    const [model, oracle] = twins(net);
    const plan = (transform: Transform): Assignment => ({
      first: chain(local(maxAbs(bcm())), scaleBy(0.1)),
      second: chain(local(maxAbs(oja())), transform, scaleBy(0.1)),
      '*': rest,
    });
    const [optimizer, never] = [
      own(plasticOptimizer(model, plan(failing(1, once)))),
      own(plasticOptimizer(oracle, plan(failing(-1, once)))),
    ];
    const x = random([5, 4], 1);
    optimizer.minimize(lossOf(model, x));
    expect(() => optimizer.minimize(lossOf(model, x))).toThrow('mine');
    optimizer.minimize(lossOf(model, x));
    for (let i = 0; i < 2; i++) never.minimize(lossOf(oracle, x));
    expect(values(model)).toEqual(values(oracle));
  });

  it('names both shapes if a state changes its shape', () => {
    const growing: Transform = {
      spec: specOf('growing'),
      init: () => ({ trace: tf.zeros([1]) }),
      update: (increment, _, { trace }) => ({ increment, state: { trace: tf.concat([trace, trace]) } }),
    };
    const model = net();
    const optimizer = own(plasticOptimizer(model, { second: chain(local(oja()), growing), '*': rest }));
    const before = values(model);
    expect(() => optimizer.minimize(lossOf(model, random([5, 4], 1)))).toThrow(
      expect.objectContaining({
        code: 'WRONG_SHAPE',
        message: expect.stringMatching(/second\/kernel.*\[2\].*\[1\]/),
      }),
    );
    expect(values(model)).toEqual(before);
  });
});

describe('an invalid forward pass', () => {
  const wrong: [string, (model: tfl.LayersModel, x: tf.Tensor) => unknown, object][] = [
    ['none at all', () => 3, { code: 'NOT_A_FUNCTION' }],
    ['one that throws at once', () => () => lossOf(undefined as never, undefined as never)(), { name: 'TypeError' }],
    [
      'one that throws after the forward pass',
      (model, x) => () => {
        lossOf(model, x)();
        throw new RangeError('mine');
      },
      { message: 'mine' },
    ],
    ['one that returns a promise', (model, x) => async () => lossOf(model, x)(), { code: 'NOT_A_LOSS' }],
    ['one that returns a promise that fails', () => async () => Promise.reject(new Error()), { code: 'NOT_A_LOSS' }],
    ['one that returns text', () => () => 'loss', { code: 'NOT_A_LOSS' }],
    ['one that returns a list', (model, x) => () => [lossOf(model, x)()], { code: 'NOT_A_LOSS' }],
    ['one that returns whole numbers', () => () => tf.scalar(1, 'int32'), { code: 'NOT_A_LOSS' }],
    ['one that returns a tensor of another rank', (model, x) => () => model.apply(x), { code: 'LOSS_SHAPE' }],
    ['one of another model', (_, x) => lossOf(net(), x), { code: 'NO_GRADIENT' }],
  ];

  it.each(wrong)('is refused, and the next step works: %s', async (_, make, error) => {
    const [model, oracle] = twins(net);
    const plan = (): Assignment => ({ first: chain(threeFactor(maxAbs(swta()), sign()), scaleBy(0.1)), '*': rest });
    const [optimizer, never] = [own(plasticOptimizer(model, plan())), own(plasticOptimizer(oracle, plan()))];
    const x = random([5, 4], 1);
    const f = make(model, x) as () => tf.Scalar;
    const { numTensors } = tf.memory();
    expect(() => optimizer.minimize(f)).toThrow(expect.objectContaining(error));
    expect(tf.memory().numTensors).toBe(numTensors);
    expect(optimizer.step).toBe(0);
    optimizer.minimize(lossOf(model, x));
    never.minimize(lossOf(oracle, x));
    expect(values(model)).toEqual(values(oracle));
  });

  it('is refused if it uses its own optimizer', async () => {
    const model = net();
    const optimizer = own(plasticOptimizer(model, { '*': rest }));
    const f = lossOf(model, random([5, 4], 1));
    const state = await optimizer.getWeights();
    const underWay = expect.objectContaining({ code: 'STEP_UNDER_WAY' });
    const uses = [
      () => optimizer.minimize(f),
      () => optimizer.computeGradients(f),
      () => optimizer.applyGradients({}),
      () => optimizer.dispose(),
    ];
    const before = values(model);
    for (const use of uses) {
      const within = () => {
        use();
        return f();
      };
      expect(() => optimizer.minimize(within)).toThrow(underWay);
      expect(() => optimizer.computeGradients(within)).toThrow(underWay);
    }
    expect(values(model)).toEqual(before);
    let written: Promise<void> | undefined;
    optimizer.minimize(() => {
      written = optimizer.setWeights(state);
      written.catch(() => {});
      return f();
    });
    await expect(written).rejects.toEqual(underWay);
    expect(optimizer.step).toBe(1);
  });

  it('may take a step of another optimizer on the same model', () => {
    const model = net();
    const [outer, inner] = [
      own(plasticOptimizer(model, { first: chain(local(maxAbs(oja())), scaleBy(0.1)), '*': null })),
      own(plasticOptimizer(model, { out: rest, '*': null })),
    ];
    const f = lossOf(model, random([5, 4], 1));
    const before = values(model);
    outer.minimize(() => {
      inner.minimize(f);
      return f();
    });
    expect(values(model).map((each, i) => String(each) !== String(before[i]))).toEqual([
      true,
      false,
      false,
      false,
      true,
      true,
    ]);
    expect([outer.step, inner.step]).toEqual([1, 1]);
  });
});

describe('two optimizers on one model', () => {
  it('have separate states and steps, and fit uses the one compiled last', async () => {
    const model = net();
    const plan = (): Assignment => ({ first: chain(local(maxAbs(bcm())), scaleBy(0.1)), '*': rest });
    const [one, other] = [own(plasticOptimizer(model, plan())), own(plasticOptimizer(model, plan()))];
    const [xs, ys] = [random([4, 4], 1), random([4, 2], 2)];
    model.compile({ optimizer: one, loss: 'meanSquaredError' });
    await model.fit(xs, ys, { batchSize: 2, epochs: 2, verbose: 0 });
    const state = await stateOf(one);
    model.compile({ optimizer: other, loss: 'meanSquaredError' });
    await model.fit(xs, ys, { batchSize: 2, epochs: 1, verbose: 0 });
    expect(await stateOf(one)).toEqual(state);
    expect([one.step, other.step]).toEqual([4, 2]);
    other.dispose();
    one.minimize(lossOf(model, xs));
    expect(one.step).toBe(5);
  });
});

describe('a changed model', () => {
  it('is refused after a layer is added, in a loop and in fit', async () => {
    const model = net() as tfl.Sequential;
    const optimizer = own(plasticOptimizer(model, { '*': rest }));
    model.add(tfl.layers.dense({ name: 'added', units: 2 }));
    const before = values(model);
    const [xs, ys] = [random([5, 4], 1), random([5, 2], 2)];
    const changed = { code: 'MODEL_CHANGED', message: expect.stringContaining("'added'") };
    expect(() => optimizer.minimize(lossOf(model, xs))).toThrow(expect.objectContaining(changed));
    model.compile({ optimizer, loss: 'meanSquaredError' });
    tf.engine().startScope(); // fit() leaks a tensor when it throws
    await expect(model.fit(xs, ys, { verbose: 0 })).rejects.toMatchObject(changed);
    tf.engine().endScope();
    expect(values(model)).toEqual(before);
  });

  it('is refused after its disposal, and its optimizer can still be disposed of', () => {
    const model = tfl.sequential({ layers: [tfl.layers.dense({ name: 'out', units: 2, inputShape: [4] })] });
    const { numTensors } = tf.memory();
    const optimizer = plasticOptimizer(model, { '*': rest });
    model.dispose();
    expect(() => optimizer.minimize(() => tf.scalar(1))).toThrow(expect.objectContaining({ code: 'MODEL_DISPOSED' }));
    optimizer.dispose();
    expect(tf.memory().numTensors).toBe(numTensors - 2);
  });

  it('is refused in fit if the optimizer belongs to another model', async () => {
    const [model, other] = twins(net);
    const optimizer = own(plasticOptimizer(model, { '*': rest }));
    other.compile({ optimizer, loss: 'meanSquaredError' });
    tf.engine().startScope(); // fit() leaks a tensor when it throws
    await expect(other.fit(random([5, 4], 1), random([5, 2], 2), { verbose: 0 })).rejects.toMatchObject({
      code: 'UNKNOWN_VARIABLE',
    });
    tf.engine().endScope();
  });
});

describe('options', () => {
  it('are refused if plasticOptimizer() or minimize() does not know them, and may be empty', () => {
    const model = net();
    const { numTensors } = tf.memory();
    const unknown = expect.objectContaining({ code: 'UNKNOWN_OPTION' });
    expect(() => plasticOptimizer(model, { '*': rest }, { rate: 0.1 } as never)).toThrow(unknown);
    expect(() => plasticOptimizer(model, { '*': rest }, 0.1 as never)).toThrow(
      expect.objectContaining({ name: 'ConfigurationError' }),
    );
    expect(tf.memory().numTensors).toBe(numTensors);
    const optimizer = own(plasticOptimizer(model, { '*': rest }, {}));
    const f = lossOf(model, random([5, 4], 1));
    expect(() => optimizer.minimize(f, { signal: { reward: 1 } } as object)).toThrow(unknown);
    expect(optimizer.step).toBe(0);
    // The calls of tfjs.
    optimizer.minimize(f, undefined, null as never);
    optimizer.minimize(f, null as never);
    expect(optimizer.step).toBe(2);
  });
});

describe('memory', () => {
  it('holds at most ten of the thirty tensors of a step that are as large as the weights', async () => {
    const [inputs, units] = [200, 100];
    const model = own(tfl.sequential({ layers: [tfl.layers.dense({ name: 'out', units, inputShape: [inputs] })] }));
    const product = chain(threeFactor(maxAbs(swta()), sign()), decayWeights(1e-3), scaleBy(0.1));
    const optimizer = own(plasticOptimizer(model, { out: product, '*': rest }));
    const f = lossOf(model, random([2, inputs], 1));
    optimizer.minimize(f);
    const before = tf.memory().numBytes;
    const { peakBytes, result } = await tf.profile(() => {
      optimizer.minimize(f);
      return tf.scalar(0);
    });
    tf.dispose(result);
    expect((peakBytes - before) / (4 * inputs * units)).toBeLessThan(12);
  });
});
