import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import { expect, it } from 'vitest';
import { nearestNeighbours } from './index.js';
import { identity, inScope, nested, oneHot } from './models.fixture.js';

type Rows = number[][];

inScope();

const examples = (rows: Rows, labels: number[], classes = 3) => ({
  xs: tf.tensor2d(rows),
  ys: oneHot(labels, classes),
});

const classify = (train: [Rows, number[]], test: [Rows, number[]], options: object = {}) =>
  nearestNeighbours(identity([train[0][0]!.length]), 'same', {
    train: examples(...train),
    test: examples(...test),
    ...options,
  });

it('weights votes by exp(similarity / temperature)', async () => {
  // Similarities 1, 0.6, 0.6. At temperature 1, e > 2·e^0.6 fails: the two win. At 0.1, e^10 > 2·e^6: the one wins.
  const train: [Rows, number[]] = [
    [
      [1, 0],
      [0.6, 0.8],
      [0.6, -0.8],
    ],
    [0, 1, 1],
  ];
  expect(await classify(train, [[[5, 0]], [1]], { temperature: 1 })).toEqual({ accuracy: 1, neighbours: 3 });
  expect(await classify(train, [[[5, 0]], [0]], { temperature: 0.1 })).toEqual({ accuracy: 1, neighbours: 3 });
});

it('gives the vote to the earlier of two equally near neighbours, and a tie to the first class', async () => {
  const equal: Rows = [
    [1, 1],
    [1, 1],
    [2, 2],
  ];
  expect((await classify([equal, [2, 0, 1]], [[[3, 3]], [2]], { neighbours: 1 })).accuracy).toBe(1);
  expect((await classify([equal, [2, 1, 0]], [[[3, 3]], [0]], { neighbours: 3 })).accuracy).toBe(1);
  expect((await classify([equal, [2, 1, 0]], [[[3, 3]], [1]], { neighbours: 2 })).accuracy).toBe(1);
});

it('treats features of 0 as orthogonal to all others', async () => {
  expect(
    (
      await classify(
        [
          [
            [0, 0],
            [1, 0],
          ],
          [0, 1],
        ],
        [
          [
            [1, 0],
            [-1, 0],
          ],
          [1, 0],
        ],
        { neighbours: 1 },
      )
    ).accuracy,
  ).toBe(1);
});

it('classifies the same for features of any length', async () => {
  const rows = nested(1, [20, 3]);
  const labels = rows.map((_, i) => i % 3);
  const test = nested(2, [30, 3]);
  const expected = test.map((_, i) => (7 * i) % 3);
  const accuracies = [1, 1e25, 1e-25].map(async (scale) => {
    const scaled = rows.map((row, i) => row.map((value) => value * (i % 2 ? scale : 1)));
    return (await classify([scaled, labels], [test, expected], { neighbours: 5 })).accuracy;
  });
  expect(new Set(await Promise.all(accuracies)).size).toBe(1);
});

it.each([1, 2, 3, 4])('agrees with the definition in float64, seed %i', async (seed) => {
  const [rows, test] = [nested(seed, [40, 4]), nested(seed + 50, [60, 4])];
  const labels = rows.map((_, i) => (i * seed) % 3);
  const expected = test.map((_, i) => (i * 5) % 3);
  const norm = (row: number[]) => Math.hypot(...row);
  const predictions = test.map((row) => {
    const near = rows
      .map((other, i) => ({
        label: labels[i]!,
        similarity: row.reduce((sum, value, d) => sum + value * other[d]!, 0) / norm(row) / norm(other),
      }))
      .sort((a, b) => b.similarity - a.similarity)
      .slice(0, 7);
    const votes = [0, 1, 2].map((c) =>
      near.reduce((sum, { label, similarity }) => sum + (label === c ? Math.exp(similarity / 0.5) : 0), 0),
    );
    return votes.indexOf(Math.max(...votes));
  });
  const { accuracy } = await classify([rows, labels], [test, expected], {
    neighbours: 7,
    temperature: 0.5,
    batchSize: 13,
  });
  expect(accuracy).toBe(predictions.filter((label, i) => label === expected[i]).length / test.length);
});

it('rejects NaN and options out of range', async () => {
  const code = (value: string) => expect.objectContaining({ code: value });
  const train: [Rows, number[]] = [
    [[1], [2]],
    [0, 1],
  ];
  await expect(
    classify(
      [
        [[1], [Number.NaN]],
        [0, 1],
      ],
      train,
    ),
  ).rejects.toEqual(code('NON_FINITE_ACTIVATION'));
  await expect(classify(train, train, { neighbours: 0 })).rejects.toEqual(code('BAD_VALUE'));
  await expect(classify(train, train, { temperature: 0 })).rejects.toEqual(code('BAD_VALUE'));
  await expect(classify(train, train, { k: 1 })).rejects.toEqual(code('UNKNOWN_OPTION'));
});
