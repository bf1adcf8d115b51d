import '@tensorflow/tfjs-backend-cpu';
import { type ModulatorReference, modulatorCases } from '@ghl/conformance';
import { modulateEach, numbers, type PlainSignals, stepEach } from '@ghl/conformance/testing';
import { type GlobalModulator, type LocalRule, local, maxAbs, type Plasticity, threeFactor } from '@ghl/core';
import { conv2d } from '@ghl/core/engine';
import { specOf } from '@ghl/core/plugin';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';
import { scalar } from './scalar.js';

it('multiplies ΔW = [1, −2] by r − r̄: the rewards 1, 3, 3 give the factors 0, 2, 1', () => {
  // λ = ½: r̄ starts at 1, then r̄ ← ½·1 + ½·3 = 2
  const rewards = [1, 3, 3].map((reward) => ({ reward }));
  expect(modulateEach(scalar({ baseline: 0.5 }), [[1, -2]], rewards)).toBeAllClose([[[0, 0]], [[2, -4]], [[1, -2]]]);
});

it('multiplies ΔW by the fall of the loss: the losses 4, 3, 5 give the factors 0, 1, −2', () => {
  const losses = [4, 3, 5].map((loss) => ({ loss }));
  expect(modulateEach(scalar({ on: 'lossDifference' }), [[1, -2]], losses)).toBeAllClose([
    [[0, 0]],
    [[1, -2]],
    [[-2, 4]],
  ]);
});

it('gives each example a factor r − r̄: the rewards [1, 3], then [2, 6] give [−1, 1], then [0, 4]', () => {
  // r̄ starts at the mean of [1, 3], which is 2
  const rewards = [{ reward: [1, 3] }, { reward: [2, 6] }];
  expect(modulateEach(scalar({ per: 'example' }), [[1]], rewards, 2)).toBeAllClose([[[-1, 1]], [[0, 4]]]);
});

const mean = (numbers: readonly number[]) => numbers.reduce((sum, each) => sum + each, 0) / numbers.length;

interface Options {
  readonly on?: 'reward' | 'loss' | 'lossDifference';
  readonly baseline?: number;
  readonly per?: 'batch' | 'example';
}

/** (r − r̄)·ΔW, (L̄ − L)·ΔW or (Lₜ₋₁ − Lₜ)·ΔW; or the factors rₚ − r̄. */
function reference({ on = 'reward', baseline = 0.99, per = 'batch' }: Options): ModulatorReference {
  const rate = on === 'lossDifference' ? 0 : baseline;
  return {
    init: () => ({ mean: 0, seen: 0 }),
    modulate({ eligibility, signals, batch }, state) {
      const { mean: baselineMean, seen } = state as { mean: number; seen: number };
      const values = (on === 'reward' ? signals.reward : signals.loss) as number[];
      const before = seen === 1 ? baselineMean : mean(values);
      const factors = values.map((value) => (on === 'reward' ? value - before : before - value));
      const next = { mean: rate * before + (1 - rate) * mean(values), seen: 1 };
      if (per === 'batch') return { result: eligibility.map((delta) => delta * mean(factors)), state: next };
      const all = factors.length === 1 ? Array<number>(batch).fill(factors[0] as number) : factors;
      return { result: all, state: next };
    },
  };
}

describe.each<Options>([
  {},
  { baseline: 0.5 },
  { on: 'loss', baseline: 0.9 },
  { on: 'lossDifference' },
  { per: 'example' },
  { per: 'example', baseline: 0.5 },
])('conformance, %o', (options) => {
  const make = (changed: object = {}) => scalar({ ...options, ...changed } as { on?: 'reward' }) as GlobalModulator;
  for (const { title, run } of modulatorCases(make, {
    reference: reference(options),
    factor: options.per === 'example' ? 'example' : 'layer',
    linear: true,
    baselined: true,
    plugins: { scalar },
    ...(options.on !== 'lossDifference' && {
      schedules: { baseline: { make: (baseline) => make({ baseline }), values: [0.9, 0.2], outside: [-0.01, 1.01] } },
    }),
  })) {
    it(title, run);
  }
});

/** A competitive rule at its largest ΔW, to have something to multiply. */
const rule = maxAbs({
  spec: specOf('rule'),
  init: () => ({}),
  gate: ({ post }, state) => ({ gate: tf.softmax(post), reconstruction: post, scope: 'own', state }),
} satisfies LocalRule);

const BATCH = 3;
const connection = conv2d([3, 3, 2, 4], { padding: 1, strides: 2 });

/** The increments of one layer, one for each set of signals, on the same input and weights. */
const increments = (plasticity: Plasticity, signals: readonly PlainSignals[]): number[][] => {
  const inputShape = [BATCH, 5, 5, 2];
  const layer = { connection, weights: numbers(1, connection.kernelShape), input: numbers(2, inputShape), inputShape };
  return stepEach(plasticity, layer, signals).map((increment) => increment.flat());
};

const rewards = (values: readonly number[]) => values.map((reward) => ({ reward }));

it('applies the rule at factor 1, its negative at −1, and nothing at 0', () => {
  // A baseline that stays at the first reward makes the factor the distance from it.
  const actual = increments(threeFactor(rule, scalar({ baseline: 1 })), rewards([0.5, 1.5, -0.5, 0.5]));
  const plain = increments(local(rule), [{}])[0] as number[];
  const [none, same, opposite, again] = actual as [number[], number[], number[], number[]];
  expect(same).toEqual(plain);
  expect(opposite).toEqual(plain.map((each) => -each));
  expect(none.every((each) => each === 0)).toBe(true);
  expect(again.every((each) => each === 0)).toBe(true);
});

it('does not change if a constant is added to the reward', () => {
  const sequence = [0.25, 1, -0.5, 0.75, 0.125];
  for (const per of ['batch', 'example'] as const) {
    const plasticity = threeFactor(rule, scalar({ baseline: 0.5, per } as { per: 'batch' }));
    // A power of two, so that not even rounding is different.
    const shifted = increments(plasticity, rewards(sequence.map((reward) => reward + 16)));
    expect(shifted).toEqual(increments(plasticity, rewards(sequence)));
  }
});

it('gives equal factors per example the effect of one factor for the batch', () => {
  const sequence = [0.3, 1.1, -0.7, 0.2];
  const perBatch = increments(threeFactor(rule, scalar({ baseline: 0.9 })), rewards(sequence));
  const each = sequence.map((value) => ({ reward: Array<number>(BATCH).fill(value) }));
  const perExample = increments(threeFactor(rule, scalar({ baseline: 0.9, per: 'example' })), each);
  expect(perExample).toBeAllClose(perBatch, { rtol: 1e-4, atol: 1e-6 });
  expect(Math.max(...(perExample[1] as number[]).map(Math.abs))).toBeCloseTo(0.8, 5);
});

it('rejects a factor per example for a loss, which is one number', () => {
  expect(() => scalar({ on: 'loss', per: 'example' } as never)).toThrow(
    expect.objectContaining({ code: 'PER_EXAMPLE_REFUSED' }),
  );
});
