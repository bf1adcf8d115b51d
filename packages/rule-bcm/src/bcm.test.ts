import '@tensorflow/tfjs-backend-cpu';
import {
  type LocalRuleReference,
  localRuleCases,
  type Matrix,
  referenceForward,
  referenceStep,
  trajectory,
} from '@ghl/conformance';
import { local } from '@ghl/core';
import { dense, initState, layerIncrement } from '@ghl/core/engine';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';
import { type BcmOptions, bcm } from './bcm.js';

/** Δw_k = Σₚ y_pk (y_pk − θ_k) xₚ, the gate ÷ θ_k if so asked, after θ ← (1 − ρ)θ + ρ·meanₚ y². */
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

it('has the golden value: x = 0.425, y = 1.55, θ = −1 give Δ = y(y − θ)x = 1.6798125', () => {
  const connection = dense([1, 1]);
  const plasticity = local(bcm({ rate: 0, theta: -1 }));
  const found = tf.tidy(() => {
    const [kernel, pre] = [tf.tensor2d([[1.55 / 0.425]]), tf.tensor2d([[0.425]])];
    const layer = { connection, kernel, calls: [{ pre, post: connection.forward(pre, kernel) }] };
    const state = initState(plasticity, [1, 1], connection.units);
    return layerIncrement(plasticity, { ...layer, signals: {}, step: 0 }, state).increment.arraySync();
  });
  expect(found).toBeAllClose([[1.6798125]], { rtol: 1e-6 });
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
  ])('each unit answers 1/pᵢ to one pattern and 0 to the rest, $copies', ({ copies, rate }) => {
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
    { follows: 'faster', rate: 0.5, blowsUp: false },
    { follows: 'slower', rate: 1e-4, blowsUp: true },
  ])('where θ is $follows than the weights, that they blow up is $blowsUp', ({ rate, blowsUp }) => {
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
