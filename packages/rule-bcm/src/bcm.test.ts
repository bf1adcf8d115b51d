import '@tensorflow/tfjs-backend-cpu';
import {
  type LocalRuleReference,
  localRuleCases,
  type Matrix,
  referenceForward,
  referenceStep,
  trajectory,
} from '@ghl/conformance';
import { stepEach, stepOnce } from '@ghl/conformance/testing';
import { dense } from '@ghl/core/engine';
import { describe, expect, it } from 'vitest';
import { type BcmOptions, bcm } from './bcm.js';

it('depresses below the threshold: w = [1, 0.5] moves by [−1, −2] on x = [1, 2]', () => {
  // y = 1·1 + 2·0.5 = 2,  θ ← ½·1 + ½·2² = 2.5
  // ΔW = y·(y − θ)·x = 2·(2 − 2.5)·[1, 2] = [−1, −2]
  const layer = { input: [[1, 2]], weights: [[1], [0.5]] };
  expect(stepOnce(bcm({ rate: 0.5 }), layer)).toEqual([[-1], [-2]]);
  // Divided by θ: [−1, −2] / 2.5
  expect(stepOnce(bcm({ rate: 0.5, divide: true }), layer)).toBeAllClose([[-0.4], [-0.8]]);
});

it('slides the threshold: the same input moves w by 0.5·x, then by 0.25·x', () => {
  // y = 1.  θ: 0 → ½·0 + ½·1 = 0.5 → 0.75.  ΔW = y·(y − θ)·x = 0.5·x, then 0.25·x
  const [first, second] = stepEach(bcm({ rate: 0.5, theta: 0 }), { input: [[1, 2]], weights: [[1], [0]] }, [{}, {}]);
  expect(first).toEqual([[0.5], [1]]);
  expect(second).toEqual([[0.25], [0.5]]);
});

it('potentiates above the threshold: x = 0.425, y = 1.55 and θ = −1 give ΔW = y(y − θ)x = 1.6798125', () => {
  const rule = bcm({ rate: 0, theta: -1 });
  expect(stepOnce(rule, { input: [[0.425]], weights: [[1.55 / 0.425]] })).toBeAllClose([[1.6798125]], { rtol: 1e-6 });
});

/** Δw_k = Σₚ y_pk (y_pk − θ_k) xₚ, the gate ÷ θ_k with `divide`, after θ ← (1 − ρ)θ + ρ·meanₚ y². */
const reference = ({ rate = 0.1, theta = 1, divide = false }: BcmOptions): LocalRuleReference => ({
  init: ({ fanOut }) => ({ theta: Array<number>(fanOut).fill(theta) }),
  gate({ post }, state) {
    const slid = (state as { theta: number[] }).theta.map((before, k) => {
      const power = post.reduce((sum, y) => sum + (y[k] as number) ** 2, 0) / post.length;
      return (1 - (rate as number)) * before + (rate as number) * power;
    });
    const gate = post.map((y) =>
      y.map((each, k) => {
        const threshold = slid[k] as number;
        return (each * (each - threshold)) / (divide ? threshold : 1);
      }),
    );
    return { gate, scope: 'none', state: { theta: slid } };
  },
});

describe.each([
  { options: {}, reduction: 'none' },
  { options: { divide: true, theta: 0.5 }, reduction: 'none' },
  { options: { rate: 0 }, reduction: 'sum' },
] as const)('conformance, $options', ({ options, reduction }) => {
  for (const { title, run } of localRuleCases(() => bcm(options), {
    reference: reference(options),
    reduction,
    equivariant: true,
    plugins: { bcm },
    schedules: { rate: { make: (rate) => bcm({ ...options, rate }), values: [0.1, 0.6], outside: [-0.01, 1.01] } },
  })) {
    it(title, run);
  }
});

describe('on linearly independent patterns', () => {
  const patterns = [
    [1, 0.3, 0],
    [0, 1, 0.2],
    [0.4, 0, 1],
  ];
  const weights = [
    [0.9, 0.1, 0.2],
    [0.1, 0.8, 0.3],
    [0.2, 0.1, 0.9],
  ];

  // Each pattern as often as its probability says, in quarters or thirds of the batch.
  it.each([
    { copies: [1, 1, 1], rate: 0.02 },
    { copies: [1, 2, 1], rate: 0.01 },
  ])('answers 1/pᵢ to one pattern and 0 to the rest, in each unit, for $copies', ({ copies, rate }) => {
    const input = patterns.flatMap((pattern, i) => Array<number[]>(copies[i] as number).fill(pattern));
    const options = { rate: 0.5 };
    const run = trajectory({ rule: bcm(options), reference: reference(options), weights, input, rate, steps: 1500 });
    expect(run.apart).toBeLessThan(1e-5);
    const answers = (w: Matrix) =>
      referenceForward(
        dense([3, 3]).units,
        patterns.map((row) => [row]),
        w,
      );
    const preferred = [0, 1, 2].map((k) => {
      const toEach = answers(run.reference).map((y) => y[k] as number);
      return toEach.indexOf(Math.max(...toEach));
    });
    const rarity = preferred.map((i) => input.length / (copies[i] as number));
    const selective = patterns.map((_, i) => preferred.map((chosen, k) => (chosen === i ? (rarity[k] as number) : 0)));
    expect(new Set(preferred).size).toBeGreaterThan(1);
    expect(answers(run.reference)).toBeAllClose(selective, { atol: 1e-6 });
    expect((run.state as { theta: number[] }).theta).toBeAllClose(rarity, { rtol: 1e-6 });
    expect(answers(run.engine)).toBeAllClose(selective, { atol: 1e-3 });
  });

  it.each([
    { result: 'stays bounded', follows: 'faster', rate: 0.5, blowsUp: false },
    { result: 'diverges', follows: 'slower', rate: 1e-4, blowsUp: true },
  ])('$result if θ moves $follows than the weights', ({ rate, blowsUp }) => {
    const rule = reference({ rate });
    const { units } = dense([3, 3]);
    const inputs = patterns.map((row) => [row]);
    let w: Matrix = weights.map((row) => row.map((each) => 2 * each));
    let state = rule.init?.(units) ?? {};
    const largest = () => Math.max(...w.flat().map(Math.abs));
    for (let step = 0; step < 2000 && largest() < 1e6; step++) {
      const { delta, state: next } = referenceStep(rule, units, inputs, w, step, state);
      w = w.map((row, d) => row.map((each, k) => each + 0.02 * ((delta[d] as number[])[k] as number)));
      state = next;
    }
    expect(largest() > 1e6).toBe(blowsUp);
  });
});
