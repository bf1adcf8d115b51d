import '@tensorflow/tfjs-backend-cpu';
import { type LocalRuleReference, localRuleCases, type Matrix, referenceStep, trajectory } from '@ghl/conformance';
import { column, dot, numbers, stepOnce } from '@ghl/conformance/testing';
import { dense } from '@ghl/core/engine';
import { describe, expect, it } from 'vitest';
import { type HahOptions, hah } from './hah.js';

it('lets the unit with the largest y/‖w‖ learn x = [1, 3], and the other active one unlearn it', () => {
  // w₁ = [8, 0], w₂ = [0, 2], w₃ = [−1, 0]: y = [8, 6, −1], ‖w‖ = [8, 2, 1], a = [1, 3, 0].

  // Δw₂ = 1/2·(x − 6/4·w₂) = ½·([1, 3] − [0, 3]) = [0.5, 0]
  // Δw₁ = −(0.8/2)/8·(x − 8/64·w₁) = −0.05·([1, 3] − [1, 0]) = [0, −0.15],  Δw₃ = 0
  const weights = [
    [8, 0, -1],
    [0, 2, 0],
  ];
  expect(stepOnce(hah({ demote: 0.8 }), { input: [[1, 3]], weights })).toBeAllClose([
    [0, 0.5, 0],
    [-0.15, 0, 0],
  ]);
});

it('lets the only other unit unlearn with all of λ, in a layer of two', () => {
  // w₁ = [2, 0], w₂ = [0, 1]: a = [2/2, 3/1].  Δw₁ = −0.5/2·(x − 2/4·w₁) = −0.25·[0, 3],  Δw₂ = x − 3·w₂ = [1, 0]
  const weights = [
    [2, 0],
    [0, 1],
  ];
  expect(stepOnce(hah({ demote: 0.5 }), { input: [[1, 3]], weights })).toEqual([
    [0, 1],
    [-0.75, 0],
  ]);
});

it('takes the mean over positions, and lets every active unit learn if the ratio is 1', () => {
  // Two samples, x = [1, 0] and x = [0, 0], and w = [0, 2] and [1, 1]: y = [0, 1] and [0, 0].  ‖w₂‖² = 2
  // Δw₂ = ½·(½/√2)·([1, 0] − ½·[1, 1]) = [1, −1]/(8·√2)
  const input = [
    [1, 0],
    [0, 0],
  ];
  const weights = [
    [0, 1],
    [2, 1],
  ];
  const moved = 1 / (8 * Math.SQRT2);
  expect(stepOnce(hah({ ratio: 1 }), { input, weights })).toBeAllClose([
    [0, moved],
    [0, -moved],
  ]);
});

/** a_k = ReLU(y_k/‖w_k‖), [P][K]. */
const activities = (post: Matrix, weights: Matrix) =>
  post.map((y) => y.map((each, k) => Math.max(each, 0) / (Math.hypot(...column(weights, k)) || 1)));

/** The units in the order of their activity, the most active first. */
const ranks = (a: readonly number[]) => a.map((_, k) => k).sort((j, k) => (a[k] as number) - (a[j] as number));

/** Δw_k = 1/P Σₚ c/‖w‖ (xₚ − y/‖w‖² w), c = 1/T for the T largest a, −λ/(K − T) for the others, 0 for a = 0. */
const reference = ({ ratio = 0.1, demote = 0.1 }: HahOptions = {}): LocalRuleReference => ({
  gate({ post, weights, units: { fanOut } }) {
    const top = Math.ceil(ratio * fanOut);
    const norms = Array.from({ length: fanOut }, (_, k) => Math.hypot(...column(weights, k)));
    const gate = activities(post, weights).map((a) => {
      const learns = ranks(a).slice(0, top);
      return a.map((each, k) => {
        const c = learns.includes(k) ? 1 / top : -(demote as number) / (fanOut - top);
        return each > 0 ? c / (norms[k] as number) / post.length : 0;
      });
    });
    const reconstruction = post.map((y) => y.map((each, k) => (norms[k] === 0 ? 0 : each / (norms[k] as number) ** 2)));
    return { gate, reconstruction, scope: 'own' };
  },
});

describe.each([{}, { ratio: 0.5, demote: 0.5 }, { ratio: 1 }] as const)('conformance, %o', (options) => {
  const { ratio } = options as HahOptions;
  for (const { title, run } of localRuleCases(() => hah(options), {
    reference: reference(options),
    reduction: 'mean',
    equivariant: true,
    plugins: { hah },
    // Without units that unlearn, the strength of unlearning has no effect.
    ...(ratio !== 1 && {
      schedules: { demote: { make: (demote) => hah({ ...options, demote }), values: [0.1, 1], outside: [-0.01] } },
    }),
  })) {
    it(title, run);
  }
});

it.each([{ ratio: 0 }, { ratio: 1.1 }, { demote: -1 }])('rejects %o', (options) => {
  expect(() => hah(options)).toThrow(expect.objectContaining({ code: 'BAD_VALUE' }));
});

const [D, K] = [5, 6];
const input = Array.from({ length: 9 }, (_, p) => [...numbers(p + 1, [D])]);
const weights = Array.from({ length: D }, (_, d) => [...numbers(50 + d, [K])]);
const { units } = dense([D, K]);
const options = { ratio: 0.3, demote: 0.4 };
const deltaOf = (x: Matrix, w: Matrix) =>
  referenceStep(
    reference(options),
    units,
    x.map((row) => [row]),
    w,
    0,
    {},
  ).delta;
const scaled = (matrix: Matrix, factor: number) => matrix.map((row) => row.map((each) => factor * each));

it('is the gradient of the mean of the top activities minus λ times the mean of the others', () => {
  /** The objective of the published code, from its definition. */
  const objective = (w: Matrix) => {
    const post = input.map((x) => Array.from({ length: K }, (_, k) => dot(x, column(w, k))));
    const top = Math.ceil(options.ratio * K);
    const mean = (values: readonly number[]) => values.reduce((sum, each) => sum + each, 0) / values.length;
    return mean(
      activities(post, w).map((a) => {
        const sorted = [...a].sort((one, other) => other - one);
        return mean(sorted.slice(0, top)) - options.demote * mean(sorted.slice(top));
      }),
    );
  };
  const h = 1e-6;
  const gradient = weights.map((row, d) =>
    row.map((_, k) => {
      const moved = (by: number) => weights.map((r, i) => r.map((w, j) => (i === d && j === k ? w + by : w)));
      return (objective(moved(h)) - objective(moved(-h))) / (2 * h);
    }),
  );
  expect(deltaOf(input, weights)).toBeAllClose(gradient, { rtol: 1e-7, atol: 1e-8 });
  expect(stepOnce(hah(options), { input, weights })).toBeAllClose(gradient, { rtol: 1e-4, atol: 1e-6 });
});

it('moves every unit at right angles to its weights', () => {
  const [exact, engine] = [deltaOf(input, weights), stepOnce(hah(options), { input, weights })];
  for (let k = 0; k < K; k++) {
    expect(dot(column(weights, k), column(exact, k))).toBeCloseTo(0, 14);
    expect(dot(column(weights, k), column(engine, k))).toBeCloseTo(0, 6);
  }
});

it('is proportional to the norm of the input, and to 1 / the norm of the weights', () => {
  const delta = deltaOf(input, weights);
  expect(deltaOf(scaled(input, 3), weights)).toBeAllClose(scaled(delta, 3), { rtol: 1e-12, atol: 1e-14 });
  expect(deltaOf(input, scaled(weights, 3))).toBeAllClose(scaled(delta, 1 / 3), { rtol: 1e-12, atol: 1e-14 });
});

it('lets norms grow only, by η²·‖Δw‖² at each step', () => {
  const one = trajectory({ rule: hah(options), reference: reference(options), weights, input, rate: 0.5, steps: 1 });
  const delta = deltaOf(input, weights);
  const squared = (matrix: Matrix, k: number) => dot(column(matrix, k), column(matrix, k));
  for (let k = 0; k < K; k++) {
    expect(squared(one.reference, k)).toBeCloseTo(squared(weights, k) + 0.25 * squared(delta, k), 12);
  }
});
