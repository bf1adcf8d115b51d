import '@tensorflow/tfjs-backend-cpu';
import { type LocalRuleReference, localRuleCases, type Matrix, referenceStep, trajectory } from '@ghl/conformance';
import { column, dot, generator, stepOnce } from '@ghl/conformance/testing';
import { dense } from '@ghl/core/engine';
import { describe, expect, it } from 'vitest';
import { fastSwta } from './fast-swta.js';

it('moves each unit by its share ¾ or ¼ of x − w, for cosines 1 and 0 at κ = ¾/ln 3', () => {
  // x = [4, 0], w₁ = [2, 0] and w₂ = [0, 1] have the cosines 1 and 0.
  // s = ((1 + 1)/2)² = 1 and ((0 + 1)/2)² = ¼.
  // z = softmax([1, ¼]·ln 3/¾) = softmax([0, −ln 3]) = [3, 1]/4, and c = z/z = 1.
  // Δw₁ = ¾·([4, 0] − [2, 0]) = [1.5, 0], Δw₂ = ¼·([4, 0] − [0, 1]) = [1, −0.25]
  const weights = [
    [2, 0],
    [0, 1],
  ];
  expect(stepOnce(fastSwta({ temperature: 0.75 / Math.log(3) }), { input: [[4, 0]], weights })).toBeAllClose([
    [1.5, 1],
    [0, -0.25],
  ]);
});

it('weights the mean by z², divided by Σ z: z = ¾ and ¼ give ⅝ of the way', () => {
  // x = [1, 0] and [0, 1] with w₁ = [1, 0], w₂ = [0, 1]: z₁ = ¾ and ¼, Σ z = 1
  // Δw₁ = (¾²·([1, 0] − [1, 0]) + ¼²·([0, 1] − [1, 0]))/1 = [−1, 1]/16, Δw₂ likewise
  const identity = [
    [1, 0],
    [0, 1],
  ];
  expect(stepOnce(fastSwta({ temperature: 0.75 / Math.log(3) }), { input: identity, weights: identity })).toBeAllClose([
    [-1 / 16, 1 / 16],
    [1 / 16, -1 / 16],
  ]);
});

/** Δw_k = Σₚ c_pk z_pk (xₚ − w_k), z = softmax_k(((cos(x, w) + 1)/2)²/κ), c = z/Σₚ z. */
const reference = (temperature = 0.02): LocalRuleReference => ({
  gate({ post, weights, patch }) {
    const norm = (values: readonly number[]) => Math.sqrt(dot(values, values));
    const z = post.map((y, p) => {
      const similarities = y.map((each, k) => {
        const norms = norm(patch(p, k)) * norm(column(weights, k));
        return (((norms === 0 ? 0 : each / norms) + 1) / 2) ** 2;
      });
      const largest = Math.max(...similarities);
      const powers = similarities.map((s) => Math.exp((s - largest) / temperature));
      const total = powers.reduce((sum, power) => sum + power, 0);
      return powers.map((power) => power / total);
    });
    const sums = (z[0] as number[]).map((_, k) => z.reduce((sum, row) => sum + (row[k] as number), 0));
    const gate = z.map((row) => row.map((each, k) => each ** 2 / (sums[k] as number)));
    return { gate, reconstruction: 1, scope: 'own' };
  },
});

describe.each([0.1, 1])('conformance, κ = %d', (temperature) => {
  for (const { title, run } of localRuleCases(() => fastSwta({ temperature }), {
    reference: reference(temperature),
    reduction: 'none',
    equivariant: true,
    plugins: { fastSwta },
    schedules: {
      temperature: { make: (value) => fastSwta({ temperature: value }), values: [1, 0.25], outside: [0, -0.01] },
    },
  })) {
    it(title, run);
  }
});

const draw = generator(6);
const random = (rows: number, columns: number): number[][] =>
  Array.from({ length: rows }, () => Array.from({ length: columns }, draw));
const { units } = dense([4, 3]);
const deltaOf = (input: Matrix, weights: Matrix) =>
  referenceStep(
    reference(),
    units,
    input.map((row) => [row]),
    weights,
    0,
    {},
  ).delta;

it('has the default κ = 0.02', () => {
  const [input, weights] = [random(7, 4), random(4, 3)];
  expect(stepOnce(fastSwta(), { input, weights })).toBeAllClose(deltaOf(input, weights), { rtol: 1e-4, atol: 1e-5 });
});

it('gives the same shares for every norm of an input or of a weight vector', () => {
  const [input, weights] = [random(5, 4), random(4, 3)];
  // Δw_k + m_k·w_k = Σ g·x. With x in place of 2x, and w in place of 3w, only these factors change.
  const share = (scale: number) => {
    const large = weights.map((row) => row.map((each) => each * scale));
    const delta = stepOnce(fastSwta(), { input, weights: large });
    const zero = stepOnce(fastSwta(), { input: input.map((row) => row.map((each) => 2 * each)), weights: large });
    // 2·Σ g·x − m·w − (Σ g·x − m·w) = Σ g·x
    return zero.map((row, d) => row.map((each, k) => each - ((delta[d] as number[])[k] as number)));
  };
  expect(share(3)).toBeAllClose(share(1), { atol: 1e-4 });
});

it('moves each unit to the mean of the inputs weighted by z²', () => {
  const input = [
    [1, 0.2, 0],
    [2, -0.2, 0.1],
    [0, 0.1, 1],
    [-0.1, 0.2, 3],
  ];
  const weights = [
    [2, 0.1],
    [0.3, -0.2],
    [0.2, 0.4],
  ];
  const run = trajectory({ rule: fastSwta(), reference: reference(), weights, input, rate: 0.5, steps: 200 });
  expect(run.apart).toBeLessThan(1e-5);
  // At κ = 0.02 the clusters are separate: each unit is at the mean of one of them, at the norm of the inputs.
  expect(column(run.reference, 0)).toBeAllClose([1.5, 0, 0.05], { atol: 0.01 });
  expect(column(run.reference, 1)).toBeAllClose([-0.05, 0.15, 2], { atol: 0.01 });
  expect(run.engine).toBeAllClose(run.reference, { atol: 1e-4 });
});

it('stays finite, and moves towards 0, where the input is 0', () => {
  expect(stepOnce(fastSwta(), { input: [[0, 0]], weights: [[2], [-4]] })).toEqual([[-2], [4]]);
});
