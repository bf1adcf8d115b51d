import '@tensorflow/tfjs-backend-cpu';
import { type LocalRuleReference, localRuleCases, referenceStep, trajectory } from '@ghl/conformance';
import { column, dot, stepOnce } from '@ghl/conformance/testing';
import { dense } from '@ghl/core/engine';
import { describe, expect, it } from 'vitest';
import { swta } from './swta.js';

it('gives shares ¼ and ¾ to two units with y = [0, 1] at τ = 1/ln 3', () => {
  // x = [1, 2], w₁ = [2, −1], w₂ = [0, 0.5]: y₁ = 2 − 2 = 0, y₂ = 0 + 1 = 1
  // u = softmax([0, 1]·ln 3) = [1, 3]/4
  // Δw₁ = ¼·([1, 2] − 0·w₁) = [0.25, 0.5],  Δw₂ = ¾·([1, 2] − 1·[0, 0.5]) = [0.75, 1.125]
  const weights = [
    [2, 0],
    [-1, 0.5],
  ];
  expect(stepOnce(swta({ temperature: 1 / Math.log(3) }), { input: [[1, 2]], weights })).toBeAllClose([
    [0.25, 0.75],
    [0.5, 1.125],
  ]);
});

/** Δw_k = Σₚ u_pk (xₚ − y_pk w_k), u a function of the y of one position. */
const competing = (compete: (y: readonly number[]) => number[]): LocalRuleReference => ({
  gate: ({ post }) => ({ gate: post.map(compete), reconstruction: post, scope: 'own' }),
});

/** u = softmax_k(y/τ). */
const reference = (temperature: number) => competing((y) => softmax(y.map((each) => each / temperature)));

function softmax(logits: readonly number[]): number[] {
  const largest = Math.max(...logits);
  const exponentials = logits.map((logit) => Math.exp(logit - largest));
  const sum = exponentials.reduce((total, each) => total + each, 0);
  return exponentials.map((each) => each / sum);
}

describe.each([1, 1 / 0.65, 4, 0.1])('conformance, τ = %d', (temperature) => {
  for (const { title, run } of localRuleCases(() => swta({ temperature }), {
    reference: reference(temperature),
    reduction: 'sum',
    equivariant: true,
    plugins: { swta },
    schedules: {
      temperature: { make: (value) => swta({ temperature: value }), values: [1, 0.25], outside: [0, -0.01] },
    },
  })) {
    it(title, run);
  }
});

const connection = dense([4, 3]);
const input = Array.from({ length: 9 }, (_, p) => Array.from({ length: 4 }, (_, d) => Math.sin(3 * p + 5 * d) + 0.3));
const weights = Array.from({ length: 4 }, (_, d) => Array.from({ length: 3 }, (_, k) => Math.cos(2 * d + 7 * k)));

const winner = competing((y) => y.map((each) => Number(each === Math.max(...y))));
const everyone = competing((y) => y.map(() => 1 / y.length));

const exact = (reference: LocalRuleReference) =>
  referenceStep(
    reference,
    connection.units,
    input.map((row) => [row]),
    weights,
    0,
    {},
  );

const engine = (temperature: number) => stepOnce(swta({ temperature }), { input, weights });

it('has the radial identity w_k·Δw_k = Σₚ u y (1 − ‖w_k‖²)', () => {
  const { delta, post } = exact(reference(1));
  const { gate } = reference(1).gate({ post, weights, units: connection.units, step: 0, patch: () => [] }, {});
  const actual = engine(1);
  for (let k = 0; k < 3; k++) {
    const w = column(weights, k);
    const expected = gate.reduce((sum, u, p) => sum + (u[k] as number) * (post[p]?.[k] as number), 0) * (1 - dot(w, w));
    expect(dot(w, column(delta, k))).toBeCloseTo(expected, 12);
    expect(dot(w, column(actual, k))).toBeAllClose(expected, { rtol: 1e-4 });
  }
});

it('is hard winner-take-all as τ → 0', () => {
  expect(engine(1e-4)).toBeAllClose(exact(winner).delta, { rtol: 1e-5, atol: 1e-5 });
});

it('moves every unit to the mean of the input at unit norm as τ → ∞', () => {
  expect(engine(1e7)).toBeAllClose(exact(everyone).delta, { rtol: 1e-5, atol: 1e-5 });
  const rule = swta({ temperature: 1e7 });
  const run = trajectory({ rule, reference: everyone, weights, input, rate: 0.1, steps: 400 });
  expect(run.apart).toBeLessThan(1e-5);
  const mean = [0, 1, 2, 3].map((d) => column(input, d).reduce((sum, x) => sum + x, 0) / input.length);
  const norm = Math.sqrt(dot(mean, mean));
  const collapsed = mean.map((each) => [each / norm, each / norm, each / norm]);
  expect(run.reference).toBeAllClose(collapsed, { atol: 1e-9 });
  expect(run.engine).toBeAllClose(collapsed, { atol: 1e-5 });
});
