import '@tensorflow/tfjs-backend-cpu';
import {
  type LocalRuleReference,
  localRuleCases,
  type Matrix,
  referenceDelta,
  referenceForward,
  trajectory,
} from '@ghl/conformance';
import { column, dot, stepOnce } from '@ghl/conformance/testing';
import { dense } from '@ghl/core/engine';
import { describe, expect, it } from 'vitest';
import { components, gram, identity, input, weights } from './components.fixture.js';
import { type HpcaOptions, hpca } from './hpca.js';

it('lets unit 2 learn what unit 1 leaves of x = [1, 2]', () => {
  // w₁ = [1, 0], w₂ = [0, 0.5]: y₁ = 1, y₂ = 1
  // Δw₁ = y₁·(x − y₁·w₁) = 1·([1, 2] − [1, 0]) = [0, 2]
  // Δw₂ = y₂·(x − y₁·w₁ − y₂·w₂) = 1·([1, 2] − [1, 0] − [0, 0.5]) = [0, 1.5]
  const weights = [
    [1, 0],
    [0, 0.5],
  ];
  expect(stepOnce(hpca(), { input: [[1, 2]], weights })).toEqual([
    [0, 0],
    [2, 1.5],
  ]);
});

it('takes the mean over samples, ÷ √D on request', () => {
  // x = [2, 0] twice, w = [0.5, 0]: y = 1, ΔW = 1·([2, 0] − [0.5, 0]) = [1.5, 0]; ÷ √4 for a fan-in of 4
  const rows = (d: number) => [0, 1].map(() => [2, ...Array<number>(d - 1).fill(0)]);
  const kernel = (d: number) => [[0.5], ...Array<number[]>(d - 1).fill([0])];
  expect(stepOnce(hpca(), { input: rows(2), weights: kernel(2) })).toEqual([[1.5], [0]]);
  expect(stepOnce(hpca({ scaleByFanIn: true }), { input: rows(4), weights: kernel(4) })).toEqual([
    [0.75],
    [0],
    [0],
    [0],
  ]);
});

/** Δw_k = 1/P Σₚ f(y_pk) (xₚ − Σ_{j ≤ k} f(y_pj) w_j), ÷ √D with `scaleByFanIn`. */
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

it('moves unit k to ± the k-th principal component, and WᵀW to the identity', () => {
  const options = { rule: hpca(), reference: reference(), weights, input, rate: 0.1, steps: 1000 };
  const { reference: exact, engine, apart } = trajectory(options);
  expect(apart).toBeLessThan(1e-5);
  for (const k of [0, 1, 2]) expect(Math.abs(dot(column(exact, k), components[k] as number[]))).toBeCloseTo(1, 9);
  expect(gram(exact)).toBeAllClose(identity, { atol: 1e-9 });
  expect(gram(engine)).toBeAllClose(identity, { atol: 1e-4 });
  expect(engine).toBeAllClose(exact, { atol: 1e-4 });
});

it('moves the first two units to the first component in both directions, with ReLU', () => {
  const rule = hpca({ activation: 'relu' });
  const options = { rule, reference: reference({ activation: 'relu' }), weights, input, rate: 0.1, steps: 1000 };
  const { reference: exact, engine, apart } = trajectory(options);
  expect(apart).toBeLessThan(1e-5);
  expect(dot(column(exact, 0), column(exact, 1))).toBeCloseTo(-1, 6);
  expect(Math.abs(dot(column(exact, 0), components[0] as number[]))).toBeCloseTo(1, 6);
  expect(engine).toBeAllClose(exact, { atol: 1e-3 });
});

it('diverges without the diagonal of the overlap', () => {
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
