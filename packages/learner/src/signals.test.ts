import '@tensorflow/tfjs-backend-cpu';
import { chain, gradientDescent, local, maxAbs, scaleBy, threeFactor } from '@ghl/core';
import { specOf, type WeightModulator } from '@ghl/core/plugin';
import { gate } from '@ghl/modulator-gate';
import { scalar } from '@ghl/modulator-scalar';
import { sign } from '@ghl/modulator-sign';
import { bcm } from '@ghl/rule-bcm';
import { hpca } from '@ghl/rule-hpca';
import { oja } from '@ghl/rule-oja';
import { swta } from '@ghl/rule-swta';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { beforeAll, describe, expect, it } from 'vitest';
import { type Assignment, plasticOptimizer, type SignalInput } from './index.js';
import { lossOf, own, random, twins, values } from './model.fixture.js';

declare module '@ghl/core' {
  interface Signals {
    /** A third-party signal: one number per unit of the layer. */
    readonly novelty: tf.Tensor;
  }
}

beforeAll(async () => {
  await tf.setBackend('cpu');
});

const kernelOf = (model: tfl.LayersModel, layer: string) =>
  Array.from((model.getLayer(layer).getWeights()[0] as tf.Tensor).dataSync());
const descend = (rate: number) => chain(gradientDescent(), scaleBy(rate));

function net(): tfl.LayersModel {
  return own(
    tfl.sequential({
      layers: [
        tfl.layers.conv2d({ name: 'conv', filters: 3, kernelSize: 2, activation: 'relu', inputShape: [4, 4, 2] }),
        tfl.layers.conv2d({ name: 'upper', filters: 2, kernelSize: 2, activation: 'relu' }),
        tfl.layers.flatten(),
        tfl.layers.dense({ name: 'out', units: 2 }),
      ],
    }),
  );
}

/** The reward after each of three steps. The first sets the baseline. */
const rewards = [0.5, 1.5, -1];

describe('a reward', () => {
  const batch = 3;
  const forms: [string, (reward: number) => SignalInput][] = [
    ['a tensor []', (reward) => own(tf.scalar(reward))],
    ['a tensor [batch]', (reward) => own(tf.fill([batch], reward))],
    ['a function of no arguments giving a number', (reward) => () => reward],
    ['a function giving a new tensor', (reward) => () => tf.scalar(reward)],
    ['a function giving a new tensor [batch]', (reward) => () => tf.fill([batch], reward)],
  ];

  it.each(forms)('may be %s instead of a number', (_, form) => {
    const [model, oracle] = twins(net);
    // The gradient of another layer needs the signals during the backward pass.
    const make = (): Assignment => ({
      conv: chain(threeFactor(maxAbs(swta()), scalar()), scaleBy(0.1)),
      upper: chain(threeFactor(maxAbs(swta()), sign()), scaleBy(0.1)),
      '*': descend(0.1),
    });
    const [optimizer, expected] = [own(plasticOptimizer(model, make())), own(plasticOptimizer(oracle, make()))];
    const x = random([batch, 4, 4, 2], 1);
    for (const reward of rewards) {
      optimizer.minimize(lossOf(model, x), { signals: { reward: form(reward) } });
      expected.minimize(lossOf(oracle, x), { signals: { reward } });
      expect(kernelOf(model, 'conv')).toBeAllClose(kernelOf(oracle, 'conv'), { rtol: 1e-6 });
    }
    expect(values(model)[3]).toEqual(values(oracle)[3]);
  });

  it('is evaluated once, after the forward pass', () => {
    const model = net();
    const optimizer = own(
      plasticOptimizer(model, {
        conv: threeFactor(oja(), scalar()),
        upper: threeFactor(oja(), scalar()),
        '*': descend(0.1),
      }),
    );
    const order: string[] = [];
    const x = random([2, 4, 4, 2], 1);
    const reward = () => {
      order.push('reward');
      return 1;
    };
    optimizer.minimize(
      () => {
        const loss = lossOf(model, x)();
        order.push('forward');
        return loss;
      },
      { signals: { reward } },
    );
    expect(order).toEqual(['forward', 'reward']);
  });

  it('moves weights by (r − r̄)·ΔW', () => {
    const [model, oracle] = twins(net);
    const optimizer = own(plasticOptimizer(model, { conv: threeFactor(oja(), scalar({ baseline: 0 })), '*': null }));
    const plain = own(plasticOptimizer(oracle, { conv: local(oja()), '*': null }));
    const x = random([2, 4, 4, 2], 1);
    const before = kernelOf(model, 'conv');
    optimizer.minimize(lossOf(model, x), { signals: { reward: 2 } });
    expect(kernelOf(model, 'conv')).toEqual(before);
    optimizer.minimize(lossOf(model, x), { signals: { reward: 5 } });
    plain.minimize(lossOf(oracle, x));
    const after = kernelOf(model, 'conv');
    const once = kernelOf(oracle, 'conv');
    expect(after.map((each, i) => each - (before[i] as number))).toBeAllClose(
      once.map((each, i) => 3 * (each - (before[i] as number))),
      { rtol: 1e-4, atol: 1e-5 },
    );
  });

  it.each([
    ['oja', () => oja()],
    ['maxAbs(swta)', () => maxAbs(swta())],
    ['maxAbs(hpca)', () => maxAbs(hpca())],
    ['bcm', () => bcm()],
  ])('has the same effect per example, with equal values, as per batch: %s', (_, rule) => {
    const [model, oracle] = twins(net);
    const plan = (per: 'batch' | 'example'): Assignment => {
      const modulator = per === 'example' ? scalar({ per }) : scalar({ per });
      return { conv: chain(threeFactor(rule(), modulator), scaleBy(0.1)), '*': descend(0.1) };
    };
    const [perExample, perBatch] = [
      own(plasticOptimizer(model, plan('example'))),
      own(plasticOptimizer(oracle, plan('batch'))),
    ];
    const before = kernelOf(model, 'conv');
    for (const reward of rewards) {
      const x = random([3, 4, 4, 2], 10 * reward);
      perExample.minimize(lossOf(model, x), { signals: { reward: () => tf.fill([3], reward) } });
      perBatch.minimize(lossOf(oracle, x), { signals: { reward } });
      expect(kernelOf(model, 'conv')).toBeAllClose(kernelOf(oracle, 'conv'), { rtol: 1e-4, atol: 1e-5 });
    }
    expect(kernelOf(model, 'conv')).not.toEqual(before);
  });

  it('weights each example if it has one number per example', () => {
    const [model, oracle] = twins(net);
    const x = random([2, 4, 4, 2], 1);
    const perExample = own(
      plasticOptimizer(model, { conv: threeFactor(oja(), scalar({ per: 'example', baseline: 1 })), '*': null }),
    );
    const first = own(plasticOptimizer(oracle, { conv: local(oja()), '*': null }));
    const before = kernelOf(model, 'conv');
    perExample.minimize(lossOf(model, x), { signals: { reward: 0 } });
    perExample.minimize(lossOf(model, x), { signals: { reward: () => tf.tensor1d([1, 0]) } });
    const alone = own(tf.slice(x, [0], [1]));
    first.minimize(lossOf(oracle, alone));
    expect(kernelOf(model, 'conv')).toBeAllClose(kernelOf(oracle, 'conv'), { rtol: 1e-4, atol: 1e-5 });
    expect(kernelOf(model, 'conv')).not.toEqual(before);
  });

  it('leaves weights bit-identical if it closes the gate', () => {
    const model = net();
    const plan = chain(threeFactor(maxAbs(swta()), gate({ on: 'reward', threshold: 0 })), scaleBy(0.1));
    const optimizer = own(plasticOptimizer(model, { conv: plan, '*': null }));
    const before = values(model);
    const x = random([2, 4, 4, 2], 1);
    optimizer.minimize(lossOf(model, x), { signals: { reward: -1 } });
    expect(values(model)).toEqual(before);
    optimizer.minimize(lossOf(model, x), { signals: { reward: 1 } });
    expect(values(model)).not.toEqual(before);
  });
});

describe('a reward per example for a batch that the layers see in parts', () => {
  const plan = (): Assignment => ({
    conv: chain(threeFactor(maxAbs(oja()), scalar({ per: 'example', baseline: 0 })), scaleBy(0.1)),
    '*': null,
  });

  /** Several ways to run the model forward on all of x. */
  const passes: Record<string, (model: tfl.LayersModel, x: tf.Tensor) => unknown> = {
    'predict()': (model, x) => model.predict(x),
    'predict() with a batch size': (model, x) => model.predict(x, { batchSize: 7 }),
    'predict() of one at a time': (model, x) => model.predict(x, { batchSize: 1 }),
    'predictOnBatch()': (model, x) => model.predictOnBatch(x),
    'evaluate()': (model, x) => model.evaluate(x, tf.zeros([x.shape[0] as number, 2]), { batchSize: 10 }),
    'apply() of parts': (model, x) => {
      const [half, size] = [Math.ceil((x.shape[0] as number) / 2), x.shape[0] as number];
      model.apply(tf.slice(x, [0], [half]), { training: true });
      if (half < size) model.apply(tf.slice(x, [half], [-1]), { training: true });
    },
  };
  const cases = Object.keys(passes).flatMap((way) => [1, 2, 31, 32, 33, 64, 65].map((count) => [way, count] as const));

  it.each(cases)('has the same effect as in one batch: %s, %i examples', (way, count) => {
    const [model, whole] = twins(net);
    const [optimizer, expected] = [own(plasticOptimizer(model, plan())), own(plasticOptimizer(whole, plan()))];
    for (const each of [model, whole]) each.compile({ optimizer: 'sgd', loss: 'meanSquaredError' });
    const x = random([count, 4, 4, 2], count);
    for (const seed of [1, 2]) {
      const reward = random([count], seed);
      optimizer.minimize(() => void tf.tidy(() => void passes[way]!(model, x)), { signals: { reward } });
      expected.minimize(() => void tf.tidy(() => void whole.apply(x)), { signals: { reward } });
    }
    expect(kernelOf(model, 'conv')).toBeAllClose(kernelOf(whole, 'conv'), { rtol: 1e-4, atol: 1e-5 });
  });

  it.each([33, 40])('may be one number for all examples, %i examples', (count) => {
    const [model, whole] = twins(net);
    const [optimizer, expected] = [own(plasticOptimizer(model, plan())), own(plasticOptimizer(whole, plan()))];
    const x = random([count, 4, 4, 2], 1);
    for (const reward of [1, 2, -1]) {
      optimizer.minimize(() => void tf.tidy(() => void model.predict(x)), { signals: { reward } });
      expected.minimize(() => void tf.tidy(() => void whole.apply(x)), { signals: { reward } });
    }
    expect(kernelOf(model, 'conv')).toBeAllClose(kernelOf(whole, 'conv'), { rtol: 1e-4, atol: 1e-5 });
  });

  it('is refused if its number of values is not the number of examples', () => {
    const model = net();
    const optimizer = own(plasticOptimizer(model, plan()));
    const x = random([33, 4, 4, 2], 1);
    const before = values(model);
    for (const count of [31, 34, 66]) {
      expect(() =>
        optimizer.minimize(() => void tf.tidy(() => void model.predict(x)), {
          signals: { reward: random([count], 1) },
        }),
      ).toThrow(expect.objectContaining({ code: 'SIGNAL_SHAPE', message: expect.stringContaining('32 + 1') }));
    }
    expect(values(model)).toEqual(before);
  });
});

describe('a reward function', () => {
  type Plan = () => Assignment;
  const rewarded = (per: 'batch' | 'example'): Assignment[string] =>
    chain(threeFactor(maxAbs(oja()), per === 'example' ? scalar({ per }) : scalar()), scaleBy(0.1));
  /** Other readers of signals. */
  const plans: Record<string, Plan> = {
    'per batch, without a reader of the gradient': () => ({ conv: rewarded('batch'), '*': null }),
    'per example, without a reader of the gradient': () => ({ conv: rewarded('example'), '*': null }),
    'per batch, another weight reads the gradient': () => ({ conv: rewarded('batch'), '*': descend(0.1) }),
    'per example, another weight reads the gradient': () => ({ conv: rewarded('example'), '*': descend(0.1) }),
    'per batch, a tfjs optimizer reads the gradient': () => ({ conv: rewarded('batch'), '*': own(tf.train.adam(0.1)) }),
    'per example, with gradient × rule': () => ({
      conv: rewarded('example'),
      upper: chain(threeFactor(maxAbs(swta()), sign()), scaleBy(0.1)),
      '*': descend(0.1),
    }),
    'without a reader of the reward': () => ({ '*': descend(0.1) }),
  };
  /** Functions that read the output of the network without being recorded: one number, or one per example. */
  const readers: Record<string, (output: tf.Tensor, model: tfl.LayersModel, x: tf.Tensor) => number | tf.Tensor> = {
    'on the host': (output) => output.dataSync()[0] as number,
    'on the device': (output) => tf.mean(output),
    'per example': (output) => tf.sum(output, 1),
    'that predicts again': (_, model, x) => tf.mean(model.predict(x) as tf.Tensor),
    'that takes a gradient': (output) => tf.mean(tf.grad((y) => tf.sum(tf.square(y)))(output)),
    'that trains another model': (output) => {
      const weight = tf.variable(tf.scalar(1));
      const sgd = tf.train.sgd(0.1);
      sgd.minimize(() => tf.mean(tf.square(tf.sub(output, weight))), false, [weight]);
      const value = tf.clone(weight);
      weight.dispose();
      sgd.dispose();
      return value;
    },
  };
  const cases = Object.keys(plans).flatMap((plan) => Object.keys(readers).map((reader) => [plan, reader] as const));

  it.each(cases)('has the same effect as a number computed beforehand: %s, %s', (plan, reader) => {
    const [model, oracle] = twins(net);
    const [optimizer, expected] = [
      own(plasticOptimizer(model, plans[plan]!())),
      own(plasticOptimizer(oracle, plans[plan]!())),
    ];
    const x = random([3, 4, 4, 2], 1);
    for (let step = 0; step < 3; step++) {
      const reward = tf.tidy(() => {
        const value = readers[reader]!(oracle.apply(x) as tf.Tensor, oracle, x);
        return typeof value === 'number' ? tf.scalar(value) : tf.clone(value);
      });
      let output: tf.Tensor;
      let calls = 0;
      const { numTensors } = tf.memory();
      optimizer.minimize(
        () => {
          output = model.apply(x, { training: true }) as tf.Tensor;
          return tf.mean(tf.square(output)) as tf.Scalar;
        },
        {
          signals: {
            reward: () => {
              calls++;
              return readers[reader]!(output, model, x);
            },
          },
        },
      );
      if (step > 0) expect(tf.memory().numTensors).toBe(numTensors); // the first step creates Adam's moments
      expect(calls).toBe(1);
      expected.minimize(lossOf(oracle, x), { signals: { reward } });
      reward.dispose();
      values(model).forEach((each, i) => {
        expect(each).toBeAllClose(values(oracle)[i] as number[], { rtol: 1e-5, atol: 1e-6 });
      });
    }
  });

  it.each(Object.keys(plans))('stops the step without a change if it throws: %s', (plan) => {
    const model = net();
    const optimizer = own(plasticOptimizer(model, plans[plan]!()));
    const x = random([3, 4, 4, 2], 1);
    const before = values(model);
    const { numTensors } = tf.memory();
    const reward = () => {
      tf.ones([2]);
      throw new RangeError('mine');
    };
    expect(() => optimizer.minimize(lossOf(model, x), { signals: { reward } })).toThrow('mine');
    expect(tf.memory().numTensors).toBe(numTensors);
    expect(values(model)).toEqual(before);
    optimizer.minimize(lossOf(model, x), { signals: { reward: 1 } });
    expect(optimizer.step).toBe(1);
  });

  it('is not called if the forward pass throws', () => {
    const model = net();
    const optimizer = own(plasticOptimizer(model, { conv: threeFactor(oja(), scalar()), '*': descend(0.1) }));
    let calls = 0;
    const reward = () => ++calls;
    expect(() => optimizer.minimize(() => tf.zeros([2]) as never, { signals: { reward } })).toThrow(
      expect.objectContaining({ code: 'LOSS_SHAPE' }),
    );
    expect(calls).toBe(0);
  });

  it('belongs to the inner of two nested steps', () => {
    const model = net();
    const inner = own(plasticOptimizer(model, { conv: threeFactor(oja(), scalar()), '*': null }));
    const outer = own(plasticOptimizer(model, { out: descend(0.1), '*': null }));
    const x = random([3, 4, 4, 2], 1);
    const order: string[] = [];
    outer.minimize(() => {
      inner.minimize(() => void model.apply(x), { signals: { reward: () => order.push('inner') } });
      order.push('outer');
      return lossOf(model, x)();
    });
    expect(order).toEqual(['inner', 'outer']);
    expect([inner.step, outer.step]).toEqual([1, 1]);
  });
});

describe('a missing reward', () => {
  const plan: Assignment = { conv: threeFactor(oja(), scalar()), '*': descend(0.1) };

  it('is refused before f runs', () => {
    const model = net();
    const optimizer = own(plasticOptimizer(model, plan));
    let ran = false;
    const f = () => {
      ran = true;
      return lossOf(model, random([2, 4, 4, 2], 1))();
    };
    for (const options of [
      undefined,
      {},
      { signals: {} },
      { signals: { rewrad: 1 } as object },
      { signals: { reward: undefined } as object },
    ]) {
      expect(() => optimizer.minimize(f, options)).toThrow(
        expect.objectContaining({ name: 'SignalError', code: 'SIGNAL_MISSING' }),
      );
    }
    expect(ran).toBe(false);
    expect(optimizer.step).toBe(0);
  });

  it('is refused in fit before the first step', async () => {
    const model = net();
    const optimizer = own(plasticOptimizer(model, plan));
    model.compile({ optimizer, loss: 'meanSquaredError' });
    const before = values(model);
    tf.engine().startScope(); // fit() leaks a tensor when it throws
    await expect(
      model.fit(random([4, 4, 4, 2], 1), random([4, 2], 2), { batchSize: 2, verbose: 0 }),
    ).rejects.toMatchObject({ code: 'SIGNAL_MISSING', message: expect.stringContaining("'reward'") });
    tf.engine().endScope();
    expect(values(model)).toEqual(before);
    expect(optimizer.step).toBe(0);
  });

  it('is not refused if its reader does not move', () => {
    const model = net();
    const optimizer = own(plasticOptimizer(model, plan));
    const x = random([2, 4, 4, 2], 1);
    model.getLayer('conv').trainable = false;
    optimizer.minimize(lossOf(model, x));
    expect(optimizer.step).toBe(1);
  });
});

describe('a wrong signal', () => {
  it.each<[string, () => unknown]>([
    ['another batch', () => tf.zeros([4])],
    ['two axes', () => tf.zeros([3, 1])],
    ['an array', () => [1, 2, 3]],
    ['a promise', async () => 1],
    ['nothing', () => undefined],
    ['a string', () => '1'],
  ])('is refused for its shape: %s', (_, reward) => {
    const model = net();
    const optimizer = own(plasticOptimizer(model, { conv: threeFactor(oja(), scalar()), '*': descend(0.1) }));
    const before = values(model);
    const x = random([3, 4, 4, 2], 1);
    expect(() => optimizer.minimize(lossOf(model, x), { signals: { reward: reward as () => number } })).toThrow(
      expect.objectContaining({ name: 'SignalError', code: 'SIGNAL_SHAPE' }),
    );
    expect(values(model)).toEqual(before);
    expect(optimizer.step).toBe(0);
  });

  it.each<[string, () => unknown, string]>([
    ['NaN', () => Number.NaN, 'SIGNAL_NOT_FINITE'],
    ['an infinite number', () => Number.NEGATIVE_INFINITY, 'SIGNAL_NOT_FINITE'],
    ['text', () => tf.tensor1d(['a', 'b', 'c']), 'SIGNAL_DTYPE'],
    ['complex numbers', () => tf.complex([1, 2, 3], [0, 0, 0]), 'SIGNAL_DTYPE'],
    ['null', () => null, 'SIGNAL_SHAPE'],
    [
      'a disposed tensor',
      () => {
        const gone = tf.scalar(1);
        gone.dispose();
        return gone;
      },
      'SIGNAL_SHAPE',
    ],
  ])('is refused for its kind: %s', (_, reward, code) => {
    const model = net();
    const optimizer = own(plasticOptimizer(model, { conv: threeFactor(oja(), scalar()), '*': descend(0.1) }));
    const before = values(model);
    const x = random([3, 4, 4, 2], 1);
    const { numTensors } = tf.memory();
    expect(() => optimizer.minimize(lossOf(model, x), { signals: { reward: reward as () => number } })).toThrow(
      expect.objectContaining({ name: 'SignalError', code, help: expect.stringMatching(/./) }),
    );
    expect(tf.memory().numTensors).toBe(numTensors);
    expect(values(model)).toEqual(before);
    expect(optimizer.step).toBe(0);
  });

  it.each(['int32', 'bool'] as const)('is refused for the dtype %s', (dtype) => {
    const [model, oracle] = twins(net);
    const plan = (): Assignment => ({ conv: threeFactor(oja(), scalar({ per: 'example', baseline: 0 })), '*': null });
    const [optimizer, expected] = [own(plasticOptimizer(model, plan())), own(plasticOptimizer(oracle, plan()))];
    const x = random([3, 4, 4, 2], 1);
    for (const reward of [
      [0, 0, 1],
      [1, 0, 1],
    ]) {
      optimizer.minimize(lossOf(model, x), { signals: { reward: () => tf.tensor1d(reward, dtype) } });
      expected.minimize(lossOf(oracle, x), { signals: { reward: () => tf.tensor1d(reward) } });
    }
    expect(values(model)).toEqual(values(oracle));
  });

  it('is refused as a loss of the caller', () => {
    const model = net();
    const optimizer = own(plasticOptimizer(model, { conv: threeFactor(oja(), scalar({ on: 'loss' })), '*': null }));
    const loss = random([3], 1);
    expect(() => optimizer.minimize(() => undefined, { signals: { loss } })).toThrow(
      expect.objectContaining({ code: 'SIGNAL_SHAPE' }),
    );
  });

  it('is refused if the layers ran on another batch size', () => {
    const model = net();
    const optimizer = own(plasticOptimizer(model, { conv: threeFactor(oja(), scalar({ per: 'example' })), '*': null }));
    const [two, three] = [random([2, 4, 4, 2], 1), random([3, 4, 4, 2], 1)];
    const f = () => {
      model.apply(two, { training: true });
      model.apply(three, { training: true });
    };
    const before = values(model);
    expect(() => optimizer.minimize(f, { signals: { reward: () => tf.zeros([2]) } })).toThrow(
      expect.objectContaining({ code: 'EXAMPLE_COUNT' }),
    );
    expect(values(model)).toEqual(before);
  });
});

describe('a third-party signal', () => {
  const byNovelty = (): WeightModulator<'novelty'> => ({
    spec: specOf('byNovelty'),
    actsOn: 'weights',
    reads: ['novelty'],
    init: () => ({}),
    modulate: (eligibility, { novelty }, _, state) => ({ increment: tf.mul(eligibility, novelty), state }),
  });

  it('reaches its modulator in any shape', () => {
    const [model, oracle] = twins(net);
    const plan: Assignment = { conv: chain(threeFactor(maxAbs(oja()), byNovelty()), scaleBy(0.1)), '*': null };
    const optimizer = own(plasticOptimizer(model, plan));
    const plain = own(plasticOptimizer(oracle, { conv: chain(local(maxAbs(oja())), scaleBy(0.1)), '*': null }));
    expect(optimizer.reads).toEqual(['novelty']);
    const x = random([2, 4, 4, 2], 1);
    expect(() => optimizer.minimize(lossOf(model, x))).toThrow(expect.objectContaining({ code: 'SIGNAL_MISSING' }));
    const before = kernelOf(model, 'conv');
    optimizer.minimize(lossOf(model, x), { signals: { novelty: () => tf.tensor1d([0, 1, -1]) } });
    plain.minimize(lossOf(oracle, x));
    const [after, once] = [kernelOf(model, 'conv'), kernelOf(oracle, 'conv')];
    expect(after.map((each, i) => each - (before[i] as number))).toBeAllClose(
      once.map((each, i) => (each - (before[i] as number)) * ([0, 1, -1][i % 3] as number)),
      { rtol: 1e-4, atol: 1e-6 },
    );
  });
});
