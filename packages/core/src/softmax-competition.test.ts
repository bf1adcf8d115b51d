import '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, expect, it } from 'vitest';
import { softmaxCompetition } from './softmax-competition.js';

beforeAll(async () => {
  await tf.setBackend('cpu');
});

const rows = (post: number[][], temperature: number) =>
  tf.tidy(() => softmaxCompetition(tf.tensor2d(post), temperature).gate.arraySync());

it.each([0, -0.01, Number.NaN, Infinity, '1', null])('rejects the temperature %s', (temperature) => {
  expect(() => tf.tidy(() => softmaxCompetition(tf.zeros([1, 2]), temperature as number).gate)).toThrow(
    expect.objectContaining({ code: 'BAD_VALUE', message: expect.stringContaining('temperature') }),
  );
});

it('tends to winner-take-all at low temperatures, and to equal shares at high ones', () => {
  const post = [
    [0.5, 0.5 + 2 ** -24, -1],
    [2, -3, 2],
    [0, 0, 0],
  ];
  const third = Math.fround(1 / 3);
  for (const temperature of [1e-30, 2 ** -126, 1e-40, 1e-100, Number.MIN_VALUE]) {
    expect(rows(post, temperature)).toEqual([
      [0, 1, 0],
      [0.5, 0, 0.5],
      [third, third, third],
    ]);
  }
  for (const temperature of [1e20, 2 ** 126, 1e60, Number.MAX_VALUE]) {
    expect(rows(post, temperature)).toBeAllClose(
      post.map(() => [third, third, third]),
      { rtol: 1e-6 },
    );
  }
});
