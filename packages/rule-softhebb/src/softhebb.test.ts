import '@tensorflow/tfjs-backend-cpu';
import { type LocalRuleReference, localRuleCases, type Matrix, referenceStep, trajectory } from '@ghl/conformance';
import { column, dot, generator, stepOnce } from '@ghl/conformance/testing';
import { dense } from '@ghl/core/engine';
import type { LocalContext } from '@ghl/core/plugin';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';
import { type SoftHebbOptions, softHebb } from './softhebb.js';

it('moves the winner by its share ¾ of Oja’s step, and the loser by −¼ of it, at τ = 1/ln 3', () => {
  // x = [1, 2], w₁ = [2, −1], w₂ = [0, 0.5]: y₁ = 2 − 2 = 0, y₂ = 0 + 1 = 1
  // u = softmax([0, 1]·ln 3) = [1, 3]/4, s = [−1, 1]
  // Δw₁ = −¼·([1, 2] − 0·w₁) = [−0.25, −0.5],  Δw₂ = ¾·([1, 2] − 1·[0, 0.5]) = [0.75, 1.125]
  const weights = [
    [2, 0],
    [-1, 0.5],
  ];
  const step = (antiHebbian: boolean) =>
    stepOnce(softHebb({ temperature: 1 / Math.log(3), antiHebbian }), { input: [[1, 2]], weights });
  expect(step(true)).toBeAllClose([
    [-0.25, 0.75],
    [-0.5, 1.125],
  ]);
  expect(step(false)).toBeAllClose([
    [0.25, 0.75],
    [0.5, 1.125],
  ]);
});

/** Δw_k = Σₚ s_pk u_pk (xₚ − y_pk w_k), u = softmax_k(y/τ), s = 1 for the first unit with the largest y, else −1. */
const reference = ({ temperature = 1, antiHebbian = true }: SoftHebbOptions): LocalRuleReference => ({
  gate: ({ post }) => ({
    gate: post.map((y) => gateOf(y, temperature as number, antiHebbian)),
    reconstruction: post,
    scope: 'own',
  }),
});

function gateOf(y: readonly number[], temperature: number, antiHebbian: boolean): number[] {
  const largest = Math.max(...y);
  const powers = y.map((each) => Math.exp((each - largest) / temperature));
  const total = powers.reduce((sum, power) => sum + power, 0);
  return powers.map((power, k) => (antiHebbian && k !== y.indexOf(largest) ? -power : power) / total);
}

describe.each<SoftHebbOptions>([
  {},
  { temperature: 1 / 0.65 },
  { temperature: 0.1 },
  { temperature: 4, antiHebbian: false },
])('conformance, $temperature $antiHebbian', (options) => {
  for (const { title, run } of localRuleCases(() => softHebb(options), {
    reference: reference(options),
    reduction: 'sum',
    equivariant: true,
    plugins: { softHebb },
    schedules: {
      temperature: {
        make: (temperature) => softHebb({ ...options, temperature }),
        values: [1, 0.25],
        outside: [0, -1],
      },
    },
  })) {
    it(title, run);
  }
});

const gates = (post: number[][], options: SoftHebbOptions = {}) =>
  tf.tidy(() => {
    const context = { post: tf.tensor2d(post), step: 0 } as unknown as LocalContext;
    return softHebb(options).gate(context, {}).gate.arraySync();
  });

it('gives the first of several units with the largest y a positive share', () => {
  expect(
    gates([
      [2, 2],
      [0, 0],
      [-1, -1],
    ]),
  ).toEqual([
    [0.5, -0.5],
    [0.5, -0.5],
    [0.5, -0.5],
  ]);
});

const draw = generator(5);
const random = (rows: number, columns: number): number[][] =>
  Array.from({ length: rows }, () => Array.from({ length: columns }, draw));
const { units } = dense([4, 3]);
const stepOf = (input: Matrix, weights: Matrix, options: SoftHebbOptions = {}) =>
  referenceStep(
    reference(options),
    units,
    input.map((row) => [row]),
    weights,
    0,
    {},
  );

it('has gates that add up to 2·u_winner − 1 at each position, and to 1 without anti-Hebbian losers', () => {
  const post = random(6, 5).map((y) => y.map((each) => 3 * each));
  const largestShares = gates(post, { antiHebbian: false }).map((row) => Math.max(...row));
  const sums = (options: SoftHebbOptions) => gates(post, options).map((row) => row.reduce((sum, g) => sum + g, 0));
  expect(sums({})).toBeAllClose(
    largestShares.map((share) => 2 * share - 1),
    { atol: 1e-6 },
  );
  expect(sums({ antiHebbian: false })).toBeAllClose(
    post.map(() => 1),
    { atol: 1e-6 },
  );
});

it('has the radial identity w_k·Δw_k = Σₚ s u y (1 − ‖w_k‖²)', () => {
  const [input, weights] = [random(7, 4), random(4, 3)];
  const { delta, post } = stepOf(input, weights);
  const engine = stepOnce(softHebb(), { input, weights });
  for (let k = 0; k < 3; k++) {
    const w = column(weights, k);
    const along = post.reduce((sum, y) => sum + (gateOf(y, 1, true)[k] as number) * (y[k] as number), 0);
    expect(dot(w, column(delta, k))).toBeCloseTo(along * (1 - dot(w, w)), 12);
    expect(dot(w, column(engine, k))).toBeAllClose(along * (1 - dot(w, w)), { rtol: 1e-4 });
  }
});

it('moves each of two units to the direction of its cluster, at unit norm', () => {
  const input = [
    [1, 0.2, 0],
    [1, -0.2, 0.1],
    [0, 0.1, 1],
    [-0.1, 0.2, 1],
  ];
  const weights = [
    [2, 0.1],
    [0.3, -0.2],
    [0.2, 0.4],
  ];
  const options = { temperature: 0.1 };
  const run = trajectory({
    rule: softHebb(options),
    reference: reference(options),
    weights,
    input,
    rate: 0.1,
    steps: 1000,
  });
  expect(run.apart).toBeLessThan(1e-5);
  const [first, second] = [column(run.reference, 0), column(run.reference, 1)];
  expect(dot(first, first)).toBeCloseTo(1, 9);
  expect(dot(second, second)).toBeCloseTo(1, 9);
  expect(first[0]).toBeGreaterThan(0.9);
  expect(second[2]).toBeGreaterThan(0.9);
  expect(run.engine).toBeAllClose(run.reference, { atol: 1e-4 });
});

describe('a unit that loses with y > 0', () => {
  // Two units in one dimension, x = 1: the first wins with y = 3, the second loses with y = w.
  const lastOf = (w: number, antiHebbian: boolean) => {
    const options = { temperature: 1, antiHebbian };
    const run = trajectory({
      rule: softHebb(options),
      reference: reference(options),
      weights: [[3, w]],
      input: [[1]],
      rate: 1e-3,
      steps: 50,
    });
    expect(run.apart).toBeLessThan(1e-5);
    return (run.reference[0] as number[])[1] as number;
  };

  it('moves away from unit norm', () => {
    expect(lastOf(1.2, true)).toBeGreaterThan(1.2);
    expect(lastOf(0.8, true)).toBeLessThan(0.8);
  });

  it('moves towards unit norm without anti-Hebbian losers', () => {
    expect(lastOf(1.2, false)).toBeLessThan(1.2);
    expect(lastOf(0.8, false)).toBeGreaterThan(0.8);
  });
});

it('is hard winner-take-all with Oja’s step as τ → 0', () => {
  const [input, weights] = [random(9, 4), random(4, 3)];
  const winner: LocalRuleReference = {
    gate: ({ post }) => ({
      gate: post.map((y) => y.map((each) => Number(each === Math.max(...y)))),
      reconstruction: post,
      scope: 'own',
    }),
  };
  const inputs = input.map((row) => [row]);
  const { delta } = referenceStep(winner, units, inputs, weights, 0, {});
  expect(stepOnce(softHebb({ temperature: 1e-5 }), { input, weights })).toBeAllClose(delta, { rtol: 1e-5, atol: 1e-6 });
});
