import '@tensorflow/tfjs-backend-cpu';
import { type LocalRuleReference, localRuleCases, type Matrix, referenceStep, trajectory } from '@ghl/conformance';
import { column, dot, numbers, stepEach, stepOnce } from '@ghl/conformance/testing';
import { chain, linear, local, maxAbs, scaleBy } from '@ghl/core';
import { dense } from '@ghl/core/engine';
import { describe, expect, it } from 'vitest';
import { type KrotovOptions, krotov } from './krotov.js';

it('lets the best unit learn x = [1, 2], and the second unlearn it', () => {
  // w₁ = [1, 0], w₂ = [0, 1], w₃ = [−1, 0]: y = [1, 2, −1]
  // Δw₂ = 1·([1, 2] − 2·[0, 1]) = [1, 0],  Δw₁ = −0.5·([1, 2] − 1·[1, 0]) = [0, −1],  Δw₃ = 0
  const weights = [
    [1, 0, -1],
    [0, 1, 0],
  ];
  expect(stepOnce(krotov({ delta: 0.5 }), { input: [[1, 2]], weights })).toEqual([
    [0, 1, 0],
    [-1, 0, 0],
  ]);
});

it('takes sgn(w)·w² as the weights of the current for p = 3', () => {
  // w₁ = [2, 0]: Q = 4·1 = 4.  w₂ = [0, −1]: Q = −1·2 = −2, although y₂ = −2 too.  w₃ = [1, 1]: Q = 1 + 2 = 3
  // Δw₁ = [1, 2] − 4·[2, 0] = [−7, 2],  Δw₃ = −0.5·([1, 2] − 3·[1, 1]) = [1, 0.5]
  const weights = [
    [2, 0, 1],
    [0, -1, 1],
  ];
  const layer = { input: [[1, 2]], weights };
  expect(stepOnce(krotov({ p: 3, delta: 0.5 }), layer)).toEqual([
    [-7, 0, 1],
    [2, 0, 0.5],
  ]);
  // With rank 3 unit 2 unlearns: Δw₂ = −0.5·([1, 2] + 2·[0, −1]) = [−0.5, 0]
  expect(stepOnce(krotov({ p: 3, rank: 3, delta: 0.5 }), layer)).toEqual([
    [-7, -0.5, 0],
    [2, 0, 0],
  ]);
});

it('rejects a rank above the number of units, and a rank that is not a whole number', () => {
  const layer = { input: [[1]], weights: [[1, 2]] };
  const refusal = expect.objectContaining({ code: 'BAD_VALUE' });
  expect(() => stepOnce(krotov({ rank: 3 }), layer)).toThrow('krotov rank is 3, in a layer of 2 units.');
  for (const options of [{ rank: 2.5 }, { rank: 1 }, { p: 0.9 }, { delta: -0.1 }]) {
    expect(() => krotov(options)).toThrow(refusal);
  }
});

/** Q_k = Σ sgn(w)·|w|ᵖ⁻¹·x. */
const currentOf = (x: readonly number[], w: readonly number[], p: number) =>
  dot(
    x,
    w.map((each) => Math.sign(each) * Math.abs(each) ** (p - 1)),
  );

/** Δw_k = Σₚ g_pk (xₚ − Q_pk w_k), g = 1 for the largest Q and −Δ for the one of rank k. */
const reference = ({ p = 2, rank = 2, delta = 0.4 }: KrotovOptions = {}): LocalRuleReference => ({
  gate({ post, weights, patch }) {
    const current = post.map((y, i) => y.map((_, k) => currentOf(patch(i, k), column(weights, k), p)));
    const gate = current.map((q) => {
      const order = q.map((_, k) => k).sort((j, k) => (q[k] as number) - (q[j] as number));
      return q.map((_, k) => (k === order[0] ? 1 : k === order[rank - 1] ? -(delta as number) : 0));
    });
    return { gate, reconstruction: current, scope: 'own' };
  },
});

describe.each([{}, { p: 3, rank: 3, delta: 0.1 }, { p: 1.5 }] as const)('conformance, %o', (options) => {
  for (const { title, run } of localRuleCases(() => krotov(options), {
    reference: reference(options),
    reduction: 'sum',
    equivariant: true,
    plugins: { krotov },
    schedules: { delta: { make: (delta) => krotov({ ...options, delta }), values: [0.4, 0], outside: [-0.01] } },
  })) {
    it(title, run);
  }
});

const input = Array.from({ length: 8 }, (_, i) => Array.from(numbers(i + 1, [4]), (x) => Math.abs(x)));
const weights = Array.from({ length: 4 }, (_, d) => [...numbers(20 + d, [3])]);
const { units } = dense([4, 3]);
const patches = input.map((row) => [row]);
const powerSum = (w: readonly number[], p: number) => w.reduce((sum, each) => sum + Math.abs(each) ** p, 0);

it.each([2, 3, 5])('has the identity Σ sgn(w)·|w|ᵖ⁻¹·Δw = (Σₚ g·Q)·(1 − Σ|w|ᵖ) for p = %d', (p) => {
  const oracle = reference({ p });
  const { delta, post } = referenceStep(oracle, units, patches, weights, 0, {});
  const context = { post, weights, units, step: 0, patch: (i: number) => input[i] as number[] };
  const { gate, reconstruction } = oracle.gate(context, {});
  const engine = stepOnce(krotov({ p }), { input, weights });
  for (const k of [0, 1, 2]) {
    const w = column(weights, k);
    const drive = gate.reduce(
      (sum, g, i) => sum + (g[k] as number) * ((reconstruction as Matrix)[i]?.[k] as number),
      0,
    );
    const expected = drive * (1 - powerSum(w, p));
    expect(currentOf(column(delta, k), w, p)).toBeCloseTo(expected, 12);
    expect(currentOf(column(engine, k), w, p)).toBeAllClose(expected, { rtol: 1e-4, atol: 1e-6 });
  }
});

it.each([2, 3, 5])('moves each unit that learns to Σ|w|ᵖ = 1 for p = %d', (p) => {
  // Three clusters of inputs, one for each unit.
  const clusters = [
    [1, 0.1, 0, 0.2],
    [0.1, 1, 0.2, 0],
    [0, 0.2, 1, 0.9],
    [0.9, 0, 0.1, 0.2],
    [0, 0.8, 0.2, 0.1],
    [0.1, 0, 0.8, 1],
  ];
  const start = [
    [1.2, 0.1, 0.1],
    [0.1, 0.7, 0.2],
    [0.2, 0.1, 0.6],
    [0.1, 0.2, 0.9],
  ];
  const options = { p, rank: 3, delta: 0.1 };
  const run = trajectory({
    rule: krotov(options),
    reference: reference(options),
    weights: start,
    input: clusters,
    rate: 0.05,
    steps: 250,
  });
  expect(run.apart).toBeLessThan(1e-5);
  for (const k of [0, 1, 2]) {
    expect(powerSum(column(run.reference, k), p)).toBeCloseTo(1, 9);
    expect(powerSum(column(run.engine, k), p)).toBeCloseTo(1, 4);
  }
});

it('moves a unit of Σ|w|² > 1 that unlearns further away', () => {
  // y = [1.25, 2]: Δw₁ = −0.4·(1 − 1.25·1.25) = 0.225,  Δw₂ = 1 − 2·2 = −3
  expect(stepOnce(krotov(), { input: [[1]], weights: [[1.25, 2]] })).toBeAllClose([[0.225, -3]]);
});

it('makes the steps of the published code in maxAbs, with a linear schedule', () => {
  // ε falls from 2e-2 to 0 over three epochs of one batch; each step is divided by its largest entry.
  const oracle = reference({ p: 3 });
  const product = chain(local(maxAbs(krotov({ p: 3 }))), scaleBy(linear(0.02, 0, 3)));
  const actual = stepEach(product, { input, weights }, [{}, {}, {}]);
  const { delta } = referenceStep(oracle, units, patches, weights, 0, {});
  const largest = Math.max(...delta.flat().map(Math.abs));
  for (const [step, increment] of actual.entries()) {
    const rate = 0.02 * (1 - step / 3);
    expect(increment).toBeAllClose(
      delta.map((row) => row.map((each) => (rate * each) / largest)),
      { rtol: 1e-5, atol: 1e-9 },
    );
  }
});
