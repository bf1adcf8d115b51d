import '@tensorflow/tfjs-backend-cpu';
import { type LocalRuleReference, localRuleCases, type Matrix, referenceStep, trajectory } from '@ghl/conformance';
import { column, dot, generator, stepOnce } from '@ghl/conformance/testing';
import { dense } from '@ghl/core/engine';
import { describe, expect, it } from 'vitest';
import { hebb } from './hebb.js';

it('moves w = [1, 0.5] by y·x = [2, 4] on x = [1, 2]', () => {
  // y = 1·1 + 2·0.5 = 2, ΔW = 2·[1, 2]
  expect(stepOnce(hebb(), { input: [[1, 2]], weights: [[1], [0.5]] })).toEqual([[2], [4]]);
});

it('sums over samples: x = [2, 1] and x = [−1, 1] move w = [1, 0] by [5, 1]', () => {
  // y = 2: [4, 2];  y = −1: [1, −1];  the sum is [5, 1]
  const input = [
    [2, 1],
    [-1, 1],
  ];
  expect(stepOnce(hebb(), { input, weights: [[1], [0]] })).toEqual([[5], [1]]);
});

/** Δw_k = Σₚ y_pk xₚ. */
const reference: LocalRuleReference = { gate: ({ post }) => ({ gate: post, scope: 'none' }) };

describe('conformance', () => {
  for (const { title, run } of localRuleCases(hebb, {
    reference,
    reduction: 'sum',
    equivariant: true,
    plugins: { hebb },
  })) {
    it(title, run);
  }
});

const draw = generator(3);
const random = (rows: number, columns: number): number[][] =>
  Array.from({ length: rows }, () => Array.from({ length: columns }, draw));
const { units } = dense([4, 3]);
const deltaOf = (input: Matrix, weights: Matrix, rule = reference) =>
  referenceStep(
    rule,
    units,
    input.map((row) => [row]),
    weights,
    0,
    {},
  );

it('never makes a weight vector shorter: w_k·Δw_k = Σₚ y²', () => {
  const [input, weights] = [random(7, 4), random(4, 3)];
  const { delta, post } = deltaOf(input, weights);
  const engine = stepOnce(hebb(), { input, weights });
  for (let k = 0; k < 3; k++) {
    const expected = post.reduce((sum, y) => sum + (y[k] as number) ** 2, 0);
    expect(dot(column(weights, k), column(delta, k))).toBeCloseTo(expected, 12);
    expect(dot(column(weights, k), column(engine, k))).toBeAllClose(expected, { rtol: 1e-5 });
  }
});

describe('on inputs of covariance QΛQᵀ, Λ = (4, 2, 1, ½)', () => {
  // A Hadamard matrix, its columns at unit norm: the principal components.
  const components = [
    [1, 1, 1, 1],
    [1, -1, 1, -1],
    [1, 1, -1, -1],
    [1, -1, -1, 1],
  ].map((row) => row.map((each) => each / 2));
  const variances = [4, 2, 1, 0.5];
  const input = variances.map((variance, i) => (components[i] as number[]).map((each) => Math.sqrt(variance) * each));
  const weights = [
    [0.3, -0.2, 1.1],
    [-0.8, -0.4, 0.1],
    [0.5, 0.1, -0.6],
    [0.9, -0.7, 0.2],
  ];

  it('multiplies each principal component of w by 1 + η·λ per step, so that w diverges along the first', () => {
    const [rate, steps] = [0.05, 100];
    const run = trajectory({ rule: hebb(), reference, weights, input, rate, steps });
    expect(run.apart).toBeLessThan(1e-5);
    for (const k of [0, 1, 2]) {
      const w = column(run.reference, k);
      for (const [i, component] of components.entries()) {
        const growth = (1 + rate * (variances[i] as number)) ** steps;
        expect(dot(w, component)).toBeAllClose(growth * dot(column(weights, k), component), { rtol: 1e-9, atol: 1e-6 });
      }
      expect(Math.abs(dot(w, components[0] as number[])) / Math.sqrt(dot(w, w))).toBeGreaterThan(0.999);
      expect(dot(w, w)).toBeGreaterThan(1e12);
    }
    expect(run.engine).toBeAllClose(run.reference, { rtol: 1e-3, atol: 1e3 });
  });

  it('converges to that component if w is scaled to unit norm after each step', () => {
    let w = weights.map((row) => row.slice(0, 1));
    for (let step = 0; step < 300; step++) {
      const { delta } = deltaOf(input, w, reference);
      const moved = w.map(([each], d) => (each as number) + 0.5 * ((delta[d] as number[])[0] as number));
      w = moved.map((each) => [each / Math.sqrt(dot(moved, moved))]);
    }
    expect(Math.abs(dot(column(w, 0), components[0] as number[]))).toBeCloseTo(1, 12);
  });
});

it('is Oja’s rule to first order if w is scaled to unit norm after each step', () => {
  const oja: LocalRuleReference = {
    gate: ({ post }) => ({ gate: post, reconstruction: post, scope: 'own' }),
  };
  const input = random(7, 4);
  const start = random(4, 1).flat();
  const unit = start.map((each) => [each / Math.sqrt(dot(start, start))]);
  const [plain, decayed] = [deltaOf(input, unit).delta, deltaOf(input, unit, oja).delta];
  const difference = (rate: number) => {
    const after = (delta: number[][]) =>
      unit.map(([each], d) => (each as number) + rate * ((delta[d] as number[])[0] as number));
    const [moved, expected] = [after(plain), after(decayed)];
    return Math.max(...moved.map((each, d) => Math.abs(each / Math.sqrt(dot(moved, moved)) - (expected[d] as number))));
  };
  // The difference is of second order: a tenth of the step has a hundredth of it.
  expect(difference(1e-4) / difference(1e-5)).toBeAllClose(100, { rtol: 0.01 });
});
