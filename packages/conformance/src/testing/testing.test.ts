import '@tensorflow/tfjs-backend-cpu';
import { conv2d } from '@ghl/core/engine';
import { type LocalContext, specOf, statelessRule } from '@ghl/core/plugin';
import * as tf from '@tensorflow/tfjs-core';
import { expect, it } from 'vitest';
import { column, dot, generator, numbers, relativeError, stepEach, stepOnce } from './index.js';

/** Δw_k = Σₚ y_pk·xₚ. */
const hebb = statelessRule(specOf('hebb'), ({ post }: LocalContext) => ({ gate: post, scope: 'none' }));

it('steps a dense layer: x = [1, 2] and w = [1, 0.5] give y = 2 and ΔW = [2, 4]', () => {
  expect(stepOnce(hebb, { input: [[1, 2]], weights: [[1], [0.5]] })).toEqual([[2], [4]]);
});

it('steps a convolution from flat numbers, and returns [D][K]', () => {
  // A window of 1 × 2 taps moves over x = [1, 2, 3]: y = [3, 5], ΔW = 3·[1, 2] + 5·[2, 3] = [13, 21].
  const layer = { input: [1, 2, 3], inputShape: [1, 1, 3, 1], weights: [1, 1], connection: conv2d([1, 2, 1, 1]) };
  expect(stepOnce(hebb, layer)).toEqual([[13], [21]]);
});

it('passes state from step to step, and leaves no tensor', () => {
  const counting = {
    spec: specOf('counting'),
    init: () => ({ count: tf.scalar(1) }),
    gate: ({ post }: LocalContext, { count }: { count: tf.Tensor }) => ({
      gate: tf.mul(post, count) as tf.Tensor2D,
      scope: 'none' as const,
      state: { count: tf.add(count, 1) },
    }),
  };
  const { numTensors } = tf.memory();
  expect(stepEach(counting, { input: [[1]], weights: [[2]] }, [{}, {}])).toEqual([[[2]], [[4]]]);
  expect(tf.memory().numTensors).toBe(numTensors);
});

it('draws the same numbers for the same seed, in [−1, 1) and exact in float32', () => {
  const draw = generator(5);
  const drawn = Array.from({ length: 1000 }, draw);
  expect([...numbers(5, [10, 100])]).toEqual(drawn);
  expect([...numbers(6, [10, 100])]).not.toEqual(drawn);
  expect(Math.min(...drawn)).toBeGreaterThanOrEqual(-1);
  expect(Math.max(...drawn)).toBeLessThan(1);
  expect(Math.abs(drawn.reduce((sum, each) => sum + each, 0) / 1000)).toBeLessThan(0.1);
  expect([...numbers(5, [2], 3)]).toEqual([Math.fround(3 * drawn[0]!), Math.fround(3 * drawn[1]!)]);
});

it('measures the largest difference relative to the largest expected number', () => {
  expect(relativeError([1, 2.5], [1, 2])).toBe(0.25);
  expect(relativeError([1, 2.5], [1, 2], 10)).toBe(0.05);
  expect(relativeError([0, 0], [0, 0])).toBe(0);
  for (const [actual, expected] of [
    [[1e-9], [0]],
    [[Number.NaN], [1]],
    [[1], [Number.NaN]],
    [[1, 1], [1]],
  ] as const) {
    expect(relativeError(actual, expected)).toBe(Number.POSITIVE_INFINITY);
  }
});

it('multiplies vectors and selects columns', () => {
  expect(dot([1, 2], [3, 4])).toBe(11);
  const matrix = [
    [1, 2],
    [3, 4],
  ];
  expect(column(matrix, 1)).toEqual([2, 4]);
});
