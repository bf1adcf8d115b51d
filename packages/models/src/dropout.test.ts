import { followsStep } from '@ghl/core/engine';
import '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type DropoutOptions, dropout } from './dropout.js';
import { dropMask, dropping } from './random.js';

beforeAll(async () => {
  await tf.setBackend('cpu');
});
beforeEach(() => tf.engine().startScope());
afterEach(() => tf.engine().endScope());

const ones = () => tf.ones([4, 50]);
const train = (layer: ReturnType<typeof dropout>, x = ones()) => [
  ...(layer.apply(x, { training: true }) as tf.Tensor).dataSync(),
];

describe('dropout', () => {
  it('keeps a share of 1 − rate, scaled by its inverse', () => {
    for (const rate of [0.1, 0.5, 0.9]) {
      const mask = dropMask(100_000, dropping(rate, 7, 0, 0));
      const kept = mask.filter((value) => value !== 0);
      expect(new Set(kept)).toEqual(new Set([Math.fround(1 / (1 - rate))]));
      // Six standard deviations of a binomial share.
      expect(Math.abs(kept.length / mask.length - (1 - rate))).toBeLessThan(6 * Math.sqrt((rate * (1 - rate)) / 1e5));
    }
  });

  it('draws units, steps and seeds independently', () => {
    const size = 100_000;
    const masks = [
      dropMask(size, dropping(0.5, 1, 0, 0)),
      dropMask(size, dropping(0.5, 1, 1, 0)),
      dropMask(size, dropping(0.5, 1, 0, 1)),
      dropMask(size, dropping(0.5, 2, 0, 0)),
    ];
    const six = 6 / Math.sqrt(size);
    const correlation = (a: Float32Array, b: Float32Array, lag: number) => {
      let sum = 0;
      for (let i = 0; i < size; i++) sum += (a[i]! - 1) * (b[(i + lag) % size]! - 1);
      return Math.abs(sum / size);
    };
    for (const [i, a] of masks.entries()) {
      for (const lag of [1, 2, 4, 8, 32]) expect(correlation(a, a, lag)).toBeLessThan(six);
      for (const b of masks.slice(i + 1)) for (const lag of [0, 1]) expect(correlation(a, b, lag)).toBeLessThan(six);
    }
  });

  it('keeps almost no unit at a rate near 1', () => {
    expect(dropMask(1000, dropping(1 - 2 ** -50, 0)).every((value) => value === 0)).toBe(true);
  });

  it('draws the mask from the step of the counter that it follows', () => {
    const followed = (step: number) => {
      const layer = dropout({ rate: 0.5, seed: 3 });
      layer.followStep({ current: step });
      return layer;
    };
    expect(train(followed(5))).toEqual(train(followed(5)));
    expect(train(followed(5))).not.toEqual(train(followed(6)));
    const counter = { current: 5 };
    const layer = dropout({ rate: 0.5, seed: 3 });
    layer.followStep(counter);
    const at5 = [train(layer), train(layer)];
    expect(at5[0]).not.toEqual(at5[1]);
    counter.current = 6;
    expect(train(layer)).toEqual(train(followed(6)));
    counter.current = 5;
    expect([train(layer), train(layer)]).toEqual(at5);
    // The same step announced again, as by a learner that repeats it after a failure.
    layer.followStep({ current: 5 });
    expect([train(layer), train(layer)]).toEqual(at5);
  });

  it('counts its training calls without a counter to follow', () => {
    const [one, two] = [dropout({ rate: 0.5, seed: 3 }), dropout({ rate: 0.5, seed: 3 })];
    const masks = [train(one), train(one), train(one)];
    expect(masks[0]).not.toEqual(masks[1]);
    expect(train(two)).toEqual(masks[0]);
    two.followStep({ current: 40 });
    train(two);
    two.followStep(null);
    two.apply(ones(), { training: false });
    expect([train(two), train(two)]).toEqual(masks.slice(1));
    one.followStep({ current: 1 });
    expect(train(one)).toEqual(masks[1]);
  });

  // Known answers of Random123 for threefry2x32 of 13 rounds, at counter 0, and of one in Python's unbounded integers
  // that gives those, at 3. A unit stays at its draw, and not beyond.
  it.each([
    [[0, 0], 0, [0x9d1c5ec6, 0x8bd50731]],
    [[5, 6], 3, [0x6256e918, 0xb797e54a]],
  ] as const)('draws threefry, for key %j at counter %d', (key, counter, words) => {
    for (const [i, word] of words.entries()) {
      const draw = word >>> 1;
      const kept = (threshold: number) => dropMask(8, { key, threshold, scale: 1 })[counter + 4 * i];
      expect([kept(draw), kept(draw + 1)]).toEqual([1, 0]);
    }
  });

  it.each([
    [0.5, [12, 34, 1], '11100011100110011000101100110100'],
    [0.25, [-3, 2 ** 40 + 5, 0], '11111111111000010111101111010101'],
  ])('drops the same everywhere, at rate %d for %j', (rate, numbers, kept) => {
    expect([...dropMask(32, dropping(rate, ...numbers))].map((value) => (value > 0 ? 1 : 0)).join('')).toBe(kept);
    expect(dropMask(29, dropping(rate, ...numbers))).toEqual(dropMask(32, dropping(rate, ...numbers)).subarray(0, 29));
  });

  it('passes the gradient through the units that it keeps', () => {
    const layer = dropout({ rate: 0.5, seed: 1 });
    layer.followStep({ current: 0 });
    const mask = train(layer);
    layer.followStep({ current: 0 });
    const x = tf.randomNormal([4, 50]);
    const gradient = tf.grad((t: tf.Tensor) => tf.sum(layer.apply(t, { training: true }) as tf.Tensor))(x);
    expect([...gradient.dataSync()]).toEqual(mask);
  });

  it('is the identity at inference, at rate 0 and while frozen', () => {
    const x = tf.randomNormal([4, 50]);
    const same = (layer: ReturnType<typeof dropout>, training: boolean) =>
      expect((layer.apply(x, { training }) as tf.Tensor).dataSync()).toEqual(x.dataSync());
    same(dropout({ rate: 0.5, seed: 1 }), false);
    same(dropout({ rate: 0, seed: 1 }), true);
    same(dropout({ rate: 0.5, seed: 1, trainable: false }), true);
  });

  it('follows a step in the sense of the core', () => {
    expect(followsStep(dropout({ rate: 0.5, seed: 1 }))).toBe(true);
  });

  it.each([
    [{ rate: 1, seed: 1 }, 'BAD_VALUE', 'rate is 1'],
    [{ rate: -0.1, seed: 1 }, 'BAD_VALUE', '-0.1'],
    [{ rate: Number.NaN, seed: 1 }, 'BAD_VALUE', 'NaN'],
    [{ rate: '0.5', seed: 1 }, 'BAD_VALUE', '0.5'],
    [{ seed: 1 }, 'BAD_VALUE', 'undefined'],
    [{ rate: 0.5, seed: 1.5 }, 'BAD_VALUE', 'seed is 1.5'],
    [{ rate: 0.5 }, 'BAD_VALUE', 'undefined'],
    [{ rate: 0.5, sead: 1 }, 'UNKNOWN_OPTION', "did you mean 'seed'"],
  ])('rejects %j', (options, code, says) => {
    const build = () => dropout(options as DropoutOptions);
    expect(build).toThrow(expect.objectContaining({ code, message: expect.stringContaining(says) }));
  });
});
