import '@tensorflow/tfjs-backend-cpu';
import { type LocalRuleReference, localRuleCases, referenceStep, trajectory } from '@ghl/conformance';
import { column, generator, stepOnce } from '@ghl/conformance/testing';
import { dense } from '@ghl/core/engine';
import { describe, expect, it } from 'vitest';
import { wta } from './wta.js';

it('moves the winner by x − w, and no other unit', () => {
  // x = [1, 2], w = [1, 0], [0, 1], [1, −1]: y = 1, 2, −1
  // One winner: Δw₂ = [1, 2] − [0, 1] = [1, 1]. Two: also Δw₁ = [1, 2] − [1, 0] = [0, 2].
  const weights = [
    [1, 0, 1],
    [0, 1, -1],
  ];
  expect(stepOnce(wta(), { input: [[1, 2]], weights })).toEqual([
    [0, 1, 0],
    [0, 1, 0],
  ]);
  expect(stepOnce(wta({ winners: 2 }), { input: [[1, 2]], weights })).toEqual([
    [0, 1, 0],
    [2, 1, 0],
  ]);
});

it('lets the first of equal units win', () => {
  // x = [1, 1], y = 1 for the first three units and 0 for the last.
  const weights = [
    [1, 0, 1, 0],
    [0, 1, 0, 0],
  ];
  const step = (winners: number) => stepOnce(wta({ winners }), { input: [[1, 1]], weights });
  expect(step(1)).toEqual([
    [0, 0, 0, 0],
    [1, 0, 0, 0],
  ]);
  expect(step(2)).toEqual([
    [0, 1, 0, 0],
    [1, 0, 0, 0],
  ]);
});

it.each([4, 5, 100])('moves all of four units for %i winners', (winners) => {
  const weights = [[1, 2, 3, 4]];
  expect(stepOnce(wta({ winners }), { input: [[5]], weights })).toEqual([[4, 3, 2, 1]]);
});

it.each([0, 1.5, -1, Number.NaN, '1'])('rejects %s winners', (winners) => {
  expect(() => wta({ winners: winners as number })).toThrow(expect.objectContaining({ code: 'BAD_VALUE' }));
});

/** Δw_k = Σₚ u_pk (xₚ − w_k), u = 1 for the first `winners` units in the order of y, else 0. */
const reference = (winners: number): LocalRuleReference => ({
  gate: ({ post }) => ({ gate: post.map((y) => winnersOf(y, winners)), reconstruction: 1, scope: 'own' }),
});

function winnersOf(y: readonly number[], winners: number): number[] {
  const order = y.map((_, k) => k).sort((j, k) => (y[k] as number) - (y[j] as number));
  return y.map((_, k) => Number(order.indexOf(k) < winners));
}

describe.each([1, 2, 3])('conformance, %i winners', (winners) => {
  for (const { title, run } of localRuleCases(() => wta({ winners }), {
    reference: reference(winners),
    reduction: 'sum',
    equivariant: true,
    plugins: { wta },
  })) {
    it(title, run);
  }
});

it('gives each position the same number of winners: Σ_k u = winners', () => {
  const draw = generator(4);
  const random = (rows: number, columns: number) =>
    Array.from({ length: rows }, () => Array.from({ length: columns }, draw));
  // With W = 0 all units are equal, and with x = 1 the sum of ΔW is the number of winners.
  for (const winners of [1, 2, 5]) {
    for (const weights of [[Array<number>(6).fill(0)], random(1, 6)]) {
      const [delta] = stepOnce(wta({ winners }), { input: [[1]], weights }) as [number[]];
      expect(delta.filter((each) => each !== 0)).toHaveLength(winners);
    }
  }
});

it('moves each winner to the mean of the inputs that it wins, and keeps a unit that never wins', () => {
  const input = [
    [1, 0.2],
    [0.8, 0],
    [0.1, 1],
    [-0.1, 0.6],
    [0, 0.8],
  ];
  const weights = [
    [0.6, 0.1, -1],
    [0.1, 0.5, -1],
  ];
  const run = trajectory({ rule: wta(), reference: reference(1), weights, input, rate: 0.1, steps: 300 });
  expect(run.apart).toBeLessThan(1e-5);
  expect(column(run.reference, 0)).toBeAllClose([0.9, 0.1], { atol: 1e-12 });
  expect(column(run.reference, 1)).toBeAllClose([0, 0.8], { atol: 1e-12 });
  expect(column(run.reference, 2)).toEqual([-1, -1]);
  expect(run.engine).toBeAllClose(run.reference, { atol: 1e-5 });
});

it('is a step of k-means at a step size of 1 over the number of wins', () => {
  const input = [[3], [1], [2]];
  const { delta } = referenceStep(
    reference(1),
    dense([1, 1]).units,
    input.map((row) => [row]),
    [[5]],
    0,
    {},
  );
  expect(5 + ((delta[0] as number[])[0] as number) / 3).toBe(2);
});
