import '@tensorflow/tfjs-backend-cpu';
import {
  type LocalRuleReference,
  localRuleCases,
  type Matrix,
  referenceStep,
  type Trajectory,
  trajectory,
} from '@ghl/conformance';
import { column, dot, stepOnce } from '@ghl/conformance/testing';
import { dense } from '@ghl/core/engine';
import { describe, expect, it } from 'vitest';
import { oja } from './oja.js';

it('moves w = [1, 0.5] by [−2, 2] on x = [1, 2]', () => {
  // y = 1·1 + 2·0.5 = 2
  // ΔW = y·(x − y·w) = 2·([1, 2] − 2·[1, 0.5]) = 2·[−1, 1] = [−2, 2]
  expect(stepOnce(oja(), { input: [[1, 2]], weights: [[1], [0.5]] })).toEqual([[-2], [2]]);
});

it('moves w = [1, 0] by [0, 1] on two samples, x = [2, 1] and x = [−1, 1]', () => {
  // y = 2: 2·([2, 1] − 2·[1, 0]) = [0, 2];  y = −1: −1·([−1, 1] + 1·[1, 0]) = [0, −1];  the sum is [0, 1]
  expect(
    stepOnce(oja(), {
      input: [
        [2, 1],
        [-1, 1],
      ],
      weights: [[1], [0]],
    }),
  ).toEqual([[0], [1]]);
});

/** Δw_k = Σₚ y_pk (xₚ − y_pk w_k). */
const reference: LocalRuleReference = {
  gate: ({ post }) => ({ gate: post, reconstruction: post, scope: 'own' }),
};

describe('conformance', () => {
  for (const { title, run } of localRuleCases(oja, {
    reference,
    reduction: 'sum',
    equivariant: true,
    plugins: { oja },
  })) {
    it(title, run);
  }
});

it('has the radial identity w_k·Δw_k = Σₚ y² (1 − ‖w_k‖²)', () => {
  const input = Array.from({ length: 7 }, (_, p) => Array.from({ length: 4 }, (_, d) => Math.sin(3 * p + 5 * d + 1)));
  const weights = Array.from({ length: 4 }, (_, d) => Array.from({ length: 3 }, (_, k) => Math.cos(2 * d + 7 * k)));
  const { units } = dense([4, 3]);
  const patches = input.map((row) => [row]);
  const { delta, post } = referenceStep(reference, units, patches, weights, 0, {});
  const engine = stepOnce(oja(), { input, weights });
  for (let k = 0; k < 3; k++) {
    const w = column(weights, k);
    const expected = post.reduce((sum, y) => sum + (y[k] as number) ** 2, 0) * (1 - dot(w, w));
    expect(dot(w, column(delta, k))).toBeCloseTo(expected, 12);
    expect(dot(w, column(engine, k))).toBeAllClose(expected, { rtol: 1e-4 });
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
  const input = [4, 2, 1, 0.5].map((variance, i) =>
    (components[i] as number[]).map((each) => Math.sqrt(variance) * each),
  );
  const first = components[0] as number[];

  const run = (weights: Matrix): Trajectory =>
    trajectory({ rule: oja(), reference, weights, input, rate: 0.05, steps: 500 });

  it('moves one unit to the first principal component, at unit norm', () => {
    const { reference: exact, engine, apart } = run([[0.3], [-0.8], [0.5], [0.9]]);
    expect(apart).toBeLessThan(1e-5);
    const w = column(exact, 0);
    expect(dot(w, w)).toBeCloseTo(1, 12);
    expect(Math.abs(dot(w, first))).toBeCloseTo(1, 12);
    expect(engine).toBeAllClose(exact, { atol: 1e-5 });
  });

  it('moves each of three independent units to ± that component', () => {
    const {
      reference: exact,
      engine,
      apart,
    } = run([
      [0.3, -0.2, 1.1],
      [-0.8, -0.4, 0.1],
      [0.5, 0.1, -0.6],
      [0.9, -0.7, 0.2],
    ]);
    expect(apart).toBeLessThan(1e-5);
    const along = [0, 1, 2].map((k) => dot(column(exact, k), first));
    expect(along.map(Math.abs)).toBeAllClose([1, 1, 1], { atol: 1e-12 });
    expect(along.map(Math.sign)).toContain(-1);
    expect(engine).toBeAllClose(exact, { atol: 1e-5 });
  });
});
