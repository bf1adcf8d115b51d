import '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, expect, it } from 'vitest';
import { hardCompetition, softmaxCompetition } from './softmax-competition.js';

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

it('changes the sign of all shares but that of the first unit with the largest y, at any temperature', () => {
  const post = [
    [0.5, 0.5 + 2 ** -24, -1],
    [2, -3, 2],
    [0, 0, 0],
    [-1, -1, -0.5],
  ];
  const winners = [1, 0, 0, 2];
  for (const temperature of [1e-40, 1e-3, 0.65, 1, 4, 1e20, 1e60]) {
    const signed = tf.tidy(() => softmaxCompetition(tf.tensor2d(post), temperature, -1).gate.arraySync());
    const expected = rows(post, temperature).map((shares, p) =>
      shares.map((share, k) => (k === winners[p] ? share : 0 - share)),
    );
    expect(signed).toBeAllClose(expected, { rtol: 1e-6 });
  }
});

it('gives 1 to the units with the largest y, and to the first of equal ones', () => {
  const post = [
    [0.5, 0.5 + 2 ** -24, -1, 0],
    [2, -3, 2, 2],
    [0, 0, 0, 0],
    [-3.4e38, -1, -1e38, -0.5],
  ];
  const gates = (winners?: number) =>
    tf.tidy(() =>
      hardCompetition(tf.tensor2d(post), winners)
        .gate.arraySync()
        .map((row) => row.join(' ')),
    );
  expect(gates()).toEqual(['0 1 0 0', '1 0 0 0', '1 0 0 0', '0 0 0 1']);
  expect(gates(2)).toEqual(['1 1 0 0', '1 0 1 0', '1 1 0 0', '0 1 0 1']);
  expect(gates(3)).toEqual(['1 1 0 1', '1 0 1 1', '1 1 1 0', '0 1 1 1']);
  for (const winners of [4, 5, 100]) expect(gates(winners)).toEqual(post.map(() => '1 1 1 1'));
});

it.each([hardCompetition, softmaxCompetition])('rejects empty activity in %o', (compete) => {
  expect(() => tf.tidy(() => compete(tf.zeros([0, 3]), 1).gate)).toThrow(
    expect.objectContaining({ code: 'EMPTY_TENSOR' }),
  );
});
