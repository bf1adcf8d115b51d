import '@tensorflow/tfjs-backend-cpu';
import { type LocalRuleReference, localRuleCases, type Matrix, referenceStep, trajectory } from '@ghl/conformance';
import { column, dot, stepOnce } from '@ghl/conformance/testing';
import { dense } from '@ghl/core/engine';
import { describe, expect, it } from 'vitest';
import { components, gram, identity, input, weights } from './components.fixture.js';
import { subspace } from './subspace.js';

it('lets each unit learn what all units leave of x = [1, 2]', () => {
  // w₁ = [1, 0], w₂ = [0, 0.5]: y = [1, 1], and x − y₁·w₁ − y₂·w₂ = [1, 2] − [1, 0] − [0, 0.5] = [0, 1.5] for each
  const kernel = [
    [1, 0],
    [0, 0.5],
  ];
  expect(stepOnce(subspace(), { input: [[1, 2]], weights: kernel })).toEqual([
    [0, 0],
    [1.5, 1.5],
  ]);
});

/** Δw_k = 1/P Σₚ y_pk (xₚ − Σ_j y_pj w_j). */
const reference: LocalRuleReference = {
  gate: ({ post }) => ({
    gate: post.map((y) => y.map((each) => each / post.length)),
    reconstruction: post,
    scope: 'all',
  }),
};

describe('conformance', () => {
  for (const { title, run } of localRuleCases(subspace, {
    reference,
    reduction: 'mean',
    equivariant: true,
    plugins: { subspace },
  })) {
    it(title, run);
  }
});

const { units } = dense([4, 3]);
const patches = input.map((row) => [row]);
const stepOf = (w: Matrix) => referenceStep(reference, units, patches, w, 0, {});
const product = (a: Matrix, b: Matrix) => a.map((row) => (b[0] as number[]).map((_, k) => dot(row, column(b, k))));
const transpose = (a: Matrix) => (a[0] as number[]).map((_, k) => column(a, k));

it('has the identity WᵀΔW = (I − WᵀW)·YᵀY/P', () => {
  const { delta, post } = stepOf(weights);
  const left = gram(weights).map((row, j) => row.map((each, k) => Number(j === k) - each));
  const activity = product(transpose(post), post).map((row) => row.map((each) => each / input.length));
  const expected = product(left, activity);
  expect(product(transpose(weights), delta)).toBeAllClose(expected, { rtol: 1e-12, atol: 1e-12 });
  expect(product(transpose(weights), stepOnce(subspace(), { input, weights }))).toBeAllClose(expected, { atol: 1e-4 });
});

it('rotates ΔW as the units are rotated', () => {
  const [c, s] = [Math.cos(0.7), Math.sin(0.7)];
  const rotation = [
    [c, -s, 0],
    [s, c, 0],
    [0, 0, 1],
  ];
  const rotated = stepOf(product(weights, rotation)).delta;
  expect(rotated).toBeAllClose(product(stepOf(weights).delta, rotation), { rtol: 1e-12, atol: 1e-12 });
});

it('finds an orthonormal basis of the first three components, which are not the components', () => {
  const run = trajectory({ rule: subspace(), reference, weights, input, rate: 0.1, steps: 600 });
  expect(run.apart).toBeLessThan(1e-5);
  expect(gram(run.reference)).toBeAllClose(identity, { atol: 1e-9 });
  expect(gram(run.engine)).toBeAllClose(identity, { atol: 1e-4 });
  // Every unit is orthogonal to the fourth component, and none is one of the others.
  const along = [0, 1, 2].map((k) => components.map((each) => Math.abs(dot(column(run.reference, k), each))));
  expect(along.map((each) => each[3])).toBeAllClose([0, 0, 0], { atol: 1e-9 });
  expect(along.filter((each) => Math.max(...each) < 0.95)).toHaveLength(2);
  expect(run.engine).toBeAllClose(run.reference, { atol: 1e-4 });
});
