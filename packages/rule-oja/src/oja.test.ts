import '@tensorflow/tfjs-backend-cpu';
import {
  type LocalRuleReference,
  localRuleCases,
  type Matrix,
  referenceStep,
  type Trajectory,
  trajectory,
} from '@ghl/conformance';
import { local } from '@ghl/core';
import { dense, initState, layerIncrement } from '@ghl/core/engine';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';
import { oja } from './oja.js';

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

const dot = (a: readonly number[], b: readonly number[]) =>
  a.reduce((sum, each, i) => sum + each * (b[i] as number), 0);
const column = (matrix: Matrix, k: number) => matrix.map((row) => row[k] as number);

it('has the radial identity w_k·Δw_k = Σₚ y² (1 − ‖w_k‖²)', () => {
  const input = Array.from({ length: 7 }, (_, p) => Array.from({ length: 4 }, (_, d) => Math.sin(3 * p + 5 * d + 1)));
  const weights = Array.from({ length: 4 }, (_, d) => Array.from({ length: 3 }, (_, k) => Math.cos(2 * d + 7 * k)));
  const { units } = dense([4, 3]);
  const patches = input.map((row) => [row]);
  const { delta, post } = referenceStep(reference, units, patches, weights, 0, {});
  const engine = tf.tidy(() => {
    const [kernel, pre] = [tf.tensor2d(weights), tf.tensor2d(input)];
    const layer = { connection: dense([4, 3]), kernel, calls: [{ pre, post: tf.matMul(pre, kernel) }] };
    const plasticity = local(oja());
    const state = initState(plasticity, [4, 3], units);
    return layerIncrement(plasticity, { ...layer, signals: {}, step: 0 }, state).increment.arraySync() as number[][];
  });
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

  it('finds the first principal component, at unit norm', () => {
    const { reference: exact, engine, apart } = run([[0.3], [-0.8], [0.5], [0.9]]);
    expect(apart).toBeLessThan(1e-5);
    const w = column(exact, 0);
    expect(dot(w, w)).toBeCloseTo(1, 12);
    expect(Math.abs(dot(w, first))).toBeCloseTo(1, 12);
    expect(engine).toBeAllClose(exact, { atol: 1e-5 });
  });

  it('has all of its independent units there, or opposite', () => {
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
