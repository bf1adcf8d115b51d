import '@tensorflow/tfjs-backend-cpu';
import { type LocalRuleReference, localRuleCases, type ReferenceContext, referenceStep } from '@ghl/conformance';
import { numbers, stepEach, stepOnce } from '@ghl/conformance/testing';
import { conv2d, dense } from '@ghl/core/engine';
import { describe, expect, it } from 'vitest';
import { type HwtaBcmOptions, hwtaBcm, hwtaBcmOwn } from './hwta-bcm.js';

it('moves the winner w₂ on x = [3, 4] by z(z − θ)·x, for every norm of the weights', () => {
  // Directions [1, 0] and [0, 1]: s = [3, 4]/5.  Unit 2 wins: z = 0.8, θ₂ = ½·1 + ½·0.64 = 0.82
  // Δw₂ = 0.8·(0.8 − 0.82)·[3, 4] = −0.016·[3, 4],  Δw₁ = 0
  const weights = [
    [5, 0],
    [0, 2],
  ];
  const layer = { input: [[3, 4]], weights };
  expect(stepOnce(hwtaBcm(), layer)).toBeAllClose([
    [0, -0.048],
    [0, -0.064],
  ]);
});

it('counts lost positions as 0 in the published threshold, and not in its own', () => {
  // Unit 1 wins x = [1, 0], unit 2 wins x = [0, 1], each with z = 1. ρ = 1: θ = ½ as published, else 1.
  const identity = [
    [1, 0],
    [0, 1],
  ];
  const layer = { input: identity, weights: identity };
  // Δw = 1·(1 − ½)·x, and 1·(1 − 1)·x
  expect(stepOnce(hwtaBcm({ rate: 1 }), layer)).toEqual([
    [0.5, 0],
    [0, 0.5],
  ]);
  expect(stepOnce(hwtaBcmOwn({ rate: 1 }), layer)).toEqual([
    [0, 0],
    [0, 0],
  ]);
});

it('normalizes the weights over the channels of each kernel position', () => {
  // A kernel of 1 × 2 positions and 2 channels. Unit 1: [3, 4] and [0, 2] → [0.6, 0.8] and [0, 1].
  // Unit 2: [1, 0] and [0, 0] → [1, 0] and [0, 0], without a division by 0.
  // x = [1, 0], [0, 1]: ‖x‖ = √2, s = [0.6 + 1, 1]/√2.  Unit 1 wins: z² = 1.28, θ₁ = 0 + ½·1.28 = 0.64
  const weights = [3, 1, 4, 0, 0, 0, 2, 0];
  const connection = conv2d([1, 2, 2, 2]);
  const layer = { input: [1, 0, 0, 1], inputShape: [1, 1, 2, 2], weights, connection };
  const z = 1.6 / Math.SQRT2;
  const moved = z * (z - 0.64);
  expect(stepOnce(hwtaBcm({ theta: 0 }), layer)).toBeAllClose([
    [moved, 0],
    [0, 0],
    [0, 0],
    [moved, 0],
  ]);
});

it('keeps the threshold of a unit that wins nowhere, if the threshold is its own', () => {
  // Unit 1 wins the first step's x, so θ₂ is still 0.5 when unit 2 wins: z = 1 and Δw₂ = 1·(1 − ¾)·x.
  const rule = hwtaBcmOwn({ theta: 0.5 });
  const layer = {
    input: [[1, 0]],
    weights: [
      [1, 0.1],
      [0, 1],
    ],
  };
  const [first, second] = stepEach(rule, layer, [{}, {}]);
  expect(first).toEqual([
    [0.25, 0],
    [0, 0],
  ]);
  expect(second).toEqual([
    [0.125, 0],
    [0, 0],
  ]);
});

/** s_pk = xₚ·ŵ_k / ‖xₚ‖, ŵ_k of unit norm over the channels of each kernel position. */
function similarity({ post, weights, units, patch }: ReferenceContext): number[][] {
  const channels = units.fanIn / units.taps;
  const directions = weights.map((_, d) => {
    const first = d - (d % channels);
    return post[0]?.map((__, k) => {
      const squares = weights.slice(first, first + channels).reduce((sum, row) => sum + (row[k] as number) ** 2, 0);
      return squares === 0 ? 0 : (weights[d]?.[k] as number) / Math.sqrt(squares);
    }) as number[];
  });
  return post.map((y, p) =>
    y.map((_, k) => {
      const x = patch(p, k);
      const length = Math.hypot(...x);
      return length === 0 ? 0 : x.reduce((sum, each, d) => sum + each * (directions[d]?.[k] as number), 0) / length;
    }),
  );
}

/** Δw_k = Σₚ z (z − θ_k) xₚ, z the similarity of the winner, after θ ← (1 − ρ)θ + ρ·mean z². */
const reference = (own: boolean, { rate = 0.5, theta = 1 }: HwtaBcmOptions = {}): LocalRuleReference => ({
  init: ({ fanOut }) => ({ theta: Array<number>(fanOut).fill(theta) }),
  gate(context, state) {
    const s = similarity(context);
    const winners = s.map((row) => row.indexOf(Math.max(...row)));
    const slid = (state as { theta: number[] }).theta.map((before, k) => {
      const squares = s.filter((_, p) => winners[p] === k).map((row) => (row[k] as number) ** 2);
      if (own && squares.length === 0) return before;
      const mean = squares.reduce((sum, each) => sum + each, 0) / (own ? squares.length : s.length);
      return (1 - (rate as number)) * before + (rate as number) * mean;
    });
    const gate = s.map((row, p) => row.map((z, k) => (winners[p] === k ? z * (z - (slid[k] as number)) : 0)));
    return { gate, scope: 'none', state: { theta: slid } };
  },
});

describe.each([
  { name: 'hwtaBcm', make: hwtaBcm, own: false },
  { name: 'hwtaBcmOwn', make: hwtaBcmOwn, own: true },
])('$name', ({ make, own, name }) => {
  describe.each([
    { options: {}, reduction: 'none' },
    { options: { rate: 0, theta: 0.3 }, reduction: 'sum' },
  ] as const)('conformance, $options', ({ options, reduction }) => {
    for (const { title, run } of localRuleCases(() => make(options), {
      reference: reference(own, options),
      reduction,
      equivariant: true,
      plugins: { [name]: make },
      schedules: { rate: { make: (rate) => make({ ...options, rate }), values: [0.1, 0.6], outside: [-0.01, 1.01] } },
    })) {
      it(title, run);
    }
  });

  it('does not depend on the norm of the weights of a kernel position, and is linear in the norm of the input', () => {
    const connection = conv2d([2, 2, 3, 4]);
    const [input, weights] = [numbers(1, [2, 4, 4, 3]), numbers(2, [2, 2, 3, 4])];
    const layer = { input, inputShape: [2, 4, 4, 3], weights, connection };
    const delta = stepOnce(make(), layer);
    // Weight i belongs to tap ⌊i/12⌋ and unit i mod 4.
    const scaled = weights.map((w, i) => w * (1 + Math.floor(i / 12) + (i % 4)));
    expect(stepOnce(make(), { ...layer, weights: scaled })).toBeAllClose(delta, { rtol: 1e-4, atol: 1e-5 });
    const twice = delta.map((row) => row.map((each) => 2 * each));
    expect(stepOnce(make(), { ...layer, input: input.map((x) => 2 * x) })).toBeAllClose(twice, {
      rtol: 1e-4,
      atol: 1e-5,
    });
  });
});

it('depresses winners below their usual level only with its own threshold, in a layer of 16 units', () => {
  const { units } = dense([8, 16]);
  const input = Array.from({ length: 200 }, (_, p) => [...numbers(p + 1, [8])]);
  const weights = Array.from({ length: 8 }, (_, d) => [...numbers(1000 + d, [16])]);
  /** The share of winners with a negative gate, once θ has settled. */
  const depressed = (own: boolean) => {
    const rule = reference(own);
    let state = rule.init?.(units) ?? {};
    for (let step = 0; step < 30; step++)
      state = referenceStep(
        rule,
        units,
        input.map((row) => [row]),
        weights,
        step,
        state,
      ).state;
    const post = input.map(
      (x) =>
        weights[0]?.map((_, k) => x.reduce((sum, each, d) => sum + each * (weights[d]?.[k] as number), 0)) as number[],
    );
    const { gate } = rule.gate({ post, weights, units, step: 30, patch: (p) => input[p] as number[] }, state);
    return gate.filter((row) => row.some((each) => each < 0)).length / gate.length;
  };
  expect(depressed(false)).toBe(0);
  expect(depressed(true)).toBeGreaterThan(0.05);
});
