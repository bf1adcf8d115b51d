import '@tensorflow/tfjs-backend-cpu';
import { chain, gradient, type IncrementModulator, local, maxAbs, scaleBy, specOf, threeFactor } from '@ghl/core';
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
import { type Assignment, plasticity, type SignalInput } from './index.js';
import { lossOf, own, random, twins, values } from './model.fixture.js';

declare module '@ghl/core' {
  interface Signals {
    /** A third party's: one number per unit of the layer. */
    readonly novelty: tf.Tensor;
  }
}

beforeAll(async () => {
  await tf.setBackend('cpu');
});

const kernelOf = (model: tfl.LayersModel, layer: string) =>
  Array.from((model.getLayer(layer).getWeights()[0] as tf.Tensor).dataSync());
const descend = (rate: number) => chain(gradient(), scaleBy(rate));

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

/** Reward after each of three steps; the first sets the baseline. */
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
    // Beside a layer whose gradient asks for the signals during the backward pass.
    const make = (): Assignment => ({
      conv: chain(threeFactor(maxAbs(swta()), scalar()), scaleBy(0.1)),
      upper: chain(threeFactor(maxAbs(swta()), sign()), scaleBy(0.1)),
      '*': descend(0.1),
    });
    const [optimizer, expected] = [own(plasticity(model, make())), own(plasticity(oracle, make()))];
    const x = random([batch, 4, 4, 2], 1);
    for (const reward of rewards) {
      optimizer.minimize(lossOf(model, x), { signals: { reward: form(reward) } });
      expected.minimize(lossOf(oracle, x), { signals: { reward } });
      expect(kernelOf(model, 'conv')).toBeAllClose(kernelOf(oracle, 'conv'), { rtol: 1e-6 });
    }
    expect(values(model)[3]).toEqual(values(oracle)[3]);
  });

  it('is asked for once, after the forward pass', () => {
    const model = net();
    const optimizer = own(
      plasticity(model, { conv: threeFactor(oja(), scalar()), upper: threeFactor(oja(), scalar()), '*': descend(0.1) }),
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
    const optimizer = own(plasticity(model, { conv: threeFactor(oja(), scalar({ baseline: 0 })), '*': null }));
    const plain = own(plasticity(oracle, { conv: local(oja()), '*': null }));
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
  ])('per example, equal for all, is the reward per batch: %s', (_, rule) => {
    const [model, oracle] = twins(net);
    const plan = (per: 'batch' | 'example'): Assignment => {
      const modulator = per === 'example' ? scalar({ per }) : scalar({ per });
      return { conv: chain(threeFactor(rule(), modulator), scaleBy(0.1)), '*': descend(0.1) };
    };
    const [perExample, perBatch] = [own(plasticity(model, plan('example'))), own(plasticity(oracle, plan('batch')))];
    const before = kernelOf(model, 'conv');
    for (const reward of rewards) {
      const x = random([3, 4, 4, 2], 10 * reward);
      perExample.minimize(lossOf(model, x), { signals: { reward: () => tf.fill([3], reward) } });
      perBatch.minimize(lossOf(oracle, x), { signals: { reward } });
      expect(kernelOf(model, 'conv')).toBeAllClose(kernelOf(oracle, 'conv'), { rtol: 1e-4, atol: 1e-5 });
    }
    expect(kernelOf(model, 'conv')).not.toEqual(before);
  });

  it('per example weights each example by its own', () => {
    const [model, oracle] = twins(net);
    const x = random([2, 4, 4, 2], 1);
    const perExample = own(
      plasticity(model, { conv: threeFactor(oja(), scalar({ per: 'example', baseline: 1 })), '*': null }),
    );
    const first = own(plasticity(oracle, { conv: local(oja()), '*': null }));
    const before = kernelOf(model, 'conv');
    perExample.minimize(lossOf(model, x), { signals: { reward: 0 } });
    perExample.minimize(lossOf(model, x), { signals: { reward: () => tf.tensor1d([1, 0]) } });
    const alone = own(tf.slice(x, [0], [1]));
    first.minimize(lossOf(oracle, alone));
    expect(kernelOf(model, 'conv')).toBeAllClose(kernelOf(oracle, 'conv'), { rtol: 1e-4, atol: 1e-5 });
    expect(kernelOf(model, 'conv')).not.toEqual(before);
  });

  it('that leaves the gate shut leaves weights bit-identical', () => {
    const model = net();
    const plan = chain(threeFactor(maxAbs(swta()), gate({ on: 'reward', threshold: 0 })), scaleBy(0.1));
    const optimizer = own(plasticity(model, { conv: plan, '*': null }));
    const before = values(model);
    const x = random([2, 4, 4, 2], 1);
    optimizer.minimize(lossOf(model, x), { signals: { reward: -1 } });
    expect(values(model)).toEqual(before);
    optimizer.minimize(lossOf(model, x), { signals: { reward: 1 } });
    expect(values(model)).not.toEqual(before);
  });
});

describe('a reward that nobody provides', () => {
  const plan: Assignment = { conv: threeFactor(oja(), scalar()), '*': descend(0.1) };

  it('is refused before f runs', () => {
    const model = net();
    const optimizer = own(plasticity(model, plan));
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

  it('is refused under fit before the first step', async () => {
    const model = net();
    const optimizer = own(plasticity(model, plan));
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

  it('is not missed where its reader does not move', () => {
    const model = net();
    const optimizer = own(plasticity(model, plan));
    const x = random([2, 4, 4, 2], 1);
    model.getLayer('conv').trainable = false;
    optimizer.minimize(lossOf(model, x));
    expect(optimizer.step).toBe(1);
  });
});

describe('a signal of the wrong shape', () => {
  it.each<[string, () => unknown]>([
    ['another batch', () => tf.zeros([4])],
    ['two axes', () => tf.zeros([3, 1])],
    ['an array', () => [1, 2, 3]],
    ['a promise', async () => 1],
    ['nothing', () => undefined],
    ['a string', () => '1'],
  ])('is refused: %s', (_, reward) => {
    const model = net();
    const optimizer = own(plasticity(model, { conv: threeFactor(oja(), scalar()), '*': descend(0.1) }));
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
      'a tensor that is gone',
      () => {
        const gone = tf.scalar(1);
        gone.dispose();
        return gone;
      },
      'SIGNAL_SHAPE',
    ],
  ])('or kind is refused: %s', (_, reward, code) => {
    const model = net();
    const optimizer = own(plasticity(model, { conv: threeFactor(oja(), scalar()), '*': descend(0.1) }));
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

  it.each(['int32', 'bool'] as const)('is not what a tensor of %s has', (dtype) => {
    const [model, oracle] = twins(net);
    const plan = (): Assignment => ({ conv: threeFactor(oja(), scalar({ per: 'example', baseline: 0 })), '*': null });
    const [optimizer, expected] = [own(plasticity(model, plan())), own(plasticity(oracle, plan()))];
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

  it('is refused for a loss handed in', () => {
    const model = net();
    const optimizer = own(plasticity(model, { conv: threeFactor(oja(), scalar({ on: 'loss' })), '*': null }));
    const loss = random([3], 1);
    expect(() => optimizer.minimize(() => undefined, { signals: { loss } })).toThrow(
      expect.objectContaining({ code: 'SIGNAL_SHAPE' }),
    );
  });

  it('is found when layers are called with another batch than the signal has', () => {
    const model = net();
    const optimizer = own(plasticity(model, { conv: threeFactor(oja(), scalar({ per: 'example' })), '*': null }));
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

describe("a third party's signal", () => {
  const byNovelty = (): IncrementModulator<'novelty'> => ({
    spec: specOf('byNovelty'),
    actsOn: 'increment',
    reads: ['novelty'],
    init: () => ({}),
    modulate: (eligibility, { novelty }, _, state) => ({ increment: tf.mul(eligibility, novelty), state }),
  });

  it('reaches its modulator in any shape', () => {
    const [model, oracle] = twins(net);
    const plan: Assignment = { conv: chain(threeFactor(maxAbs(oja()), byNovelty()), scaleBy(0.1)), '*': null };
    const optimizer = own(plasticity(model, plan));
    const plain = own(plasticity(oracle, { conv: chain(local(maxAbs(oja())), scaleBy(0.1)), '*': null }));
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
