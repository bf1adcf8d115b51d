import '@tensorflow/tfjs-backend-cpu';
import {
  type LocalRuleReference,
  localRuleCases,
  type Matrix,
  referenceDelta,
  referenceForward,
  trajectory,
} from '@ghl/conformance';
import { dense } from '@ghl/core/engine';
import { describe, expect, it } from 'vitest';
import { type HpcaOptions, hpca } from './hpca.js';

/** Δw_k = 1/P Σₚ f(y_pk) (xₚ − Σ_{j ≤ k} f(y_pj) w_j), ÷ √D if so asked. */
const reference = ({ activation = 'linear', scaleByFanIn = false }: HpcaOptions = {}): LocalRuleReference => ({
  gate({ post, units }) {
    const answers = post.map((y) => y.map((each) => (activation === 'relu' ? Math.max(each, 0) : each)));
    const divisor = post.length * (scaleByFanIn ? Math.sqrt(units.fanIn) : 1);
    return { gate: answers.map((y) => y.map((each) => each / divisor)), reconstruction: answers, scope: 'earlier' };
  },
});

describe.each([{}, { activation: 'relu' }, { scaleByFanIn: true }] as const)('conformance, %o', (options) => {
  for (const { title, run } of localRuleCases(() => hpca(options), {
    reference: reference(options),
    reduction: 'mean',
    equivariant: false,
    plugins: { hpca },
  })) {
    it(title, run);
  }
});

const components = [
  [1, 1, 1, 1],
  [1, -1, 1, -1],
  [1, 1, -1, -1],
  [1, -1, -1, 1],
].map((row) => row.map((each) => each / 2));

// Of mean 0 and covariance QΛQᵀ, Λ = (4, 2, 1, ½): each component twice, once in either direction.
const input = [1, -1].flatMap((sign) =>
  [4, 2, 1, 0.5].map((variance, i) => (components[i] as number[]).map((each) => sign * 2 * Math.sqrt(variance) * each)),
);

const weights = [
  [0.3, -0.2, 0.4],
  [-0.8, -0.4, 0.1],
  [0.5, 0.1, -0.6],
  [0.4, -0.7, 0.2],
];

const column = (matrix: Matrix, k: number) => matrix.map((row) => row[k] as number);
const dot = (a: readonly number[], b: readonly number[]) =>
  a.reduce((sum, each, i) => sum + each * (b[i] as number), 0);
const gram = (matrix: Matrix) => [0, 1, 2].map((j) => [0, 1, 2].map((k) => dot(column(matrix, j), column(matrix, k))));
const identity = [
  [1, 0, 0],
  [0, 1, 0],
  [0, 0, 1],
];

it('linear: unit k finds ± the k-th principal component, and WᵀW is the identity', () => {
  const options = { rule: hpca(), reference: reference(), weights, input, rate: 0.1, steps: 1000 };
  const { reference: exact, engine, apart } = trajectory(options);
  expect(apart).toBeLessThan(1e-5);
  for (const k of [0, 1, 2]) expect(Math.abs(dot(column(exact, k), components[k] as number[]))).toBeCloseTo(1, 9);
  expect(gram(exact)).toBeAllClose(identity, { atol: 1e-9 });
  expect(gram(engine)).toBeAllClose(identity, { atol: 1e-4 });
  expect(engine).toBeAllClose(exact, { atol: 1e-4 });
});

it('with ReLU: the first two units find the first component in both directions', () => {
  const rule = hpca({ activation: 'relu' });
  const options = { rule, reference: reference({ activation: 'relu' }), weights, input, rate: 0.1, steps: 1000 };
  const { reference: exact, engine, apart } = trajectory(options);
  expect(apart).toBeLessThan(1e-5);
  expect(dot(column(exact, 0), column(exact, 1))).toBeCloseTo(-1, 6);
  expect(Math.abs(dot(column(exact, 0), components[0] as number[]))).toBeCloseTo(1, 6);
  expect(engine).toBeAllClose(exact, { atol: 1e-3 });
});

it('without the diagonal it diverges', () => {
  const { units } = dense([4, 3]);
  const patches = input.map((row) => [row]);
  let w: Matrix = weights;
  let steps = 0;
  const largest = () => Math.max(...w.flat().map(Math.abs));
  while (largest() < 1e6 && steps++ < 1000) {
    const post = referenceForward(units, patches, w);
    const gate = post.map((y) => y.map((each) => each / post.length));
    const delta = (scope: 'earlier' | 'own' | 'none') =>
      referenceDelta(units, patches, w, { gate, reconstruction: post, scope });
    const [earlier, own, none] = [delta('earlier'), delta('own'), delta('none')];
    w = w.map((row, d) =>
      row.map((each, k) => {
        const at = (matrix: number[][]) => (matrix[d] as number[])[k] as number;
        return each + 0.1 * (at(earlier) - at(own) + at(none));
      }),
    );
  }
  expect(largest()).toBeGreaterThan(1e6);
});
