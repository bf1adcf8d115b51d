import '@tensorflow/tfjs-backend-cpu';
import { type ModulatorReference, modulatorCases } from '@ghl/conformance';
import { type GlobalModulator, type LocalRule, local, maxAbs, type Plasticity, threeFactor } from '@ghl/core';
import { type AvailableSignals, conv2d, initState, layerIncrement } from '@ghl/core/engine';
import { specOf } from '@ghl/core/plugin';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';
import { scalar } from './scalar.js';

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
      const { mean: kept, seen } = state as { mean: number; seen: number };
      const values = (on === 'reward' ? signals.reward : signals.loss) as number[];
      const before = seen === 1 ? kept : mean(values);
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

/** The increments of one layer, a step for each set of signals, always on the same input and weights. */
const increments = (plasticity: Plasticity, steps: readonly (() => AvailableSignals)[]): number[][] =>
  tf.tidy(() => {
    const kernel = tf.randomUniform([...connection.kernelShape], -1, 1, 'float32', 1);
    const pre = tf.randomUniform([BATCH, 5, 5, 2], -1, 1, 'float32', 2);
    const calls = [{ pre, post: connection.forward(pre, kernel) }];
    let state = initState(plasticity, connection.kernelShape, connection.units);
    return steps.map((signals, step) => {
      const made = layerIncrement(plasticity, { connection, kernel, calls, signals: signals(), step }, state);
      state = made.state;
      return [...made.increment.dataSync()];
    });
  });

const rewards = (values: readonly number[]) => values.map((value) => () => ({ reward: tf.scalar(value) }));

it('a factor of 1 is the rule, of −1 its negative, of 0 nothing', () => {
  // A baseline that stays at the first reward makes the factor the distance from it.
  const found = increments(threeFactor(rule, scalar({ baseline: 1 })), rewards([0.5, 1.5, -0.5, 0.5]));
  const plain = increments(local(rule), [() => ({})])[0] as number[];
  const [none, same, opposite, again] = found as [number[], number[], number[], number[]];
  expect(same).toEqual(plain);
  expect(opposite).toEqual(plain.map((each) => -each));
  expect(none.every((each) => each === 0)).toBe(true);
  expect(again.every((each) => each === 0)).toBe(true);
});

it('a constant added to the reward changes nothing', () => {
  const sequence = [0.25, 1, -0.5, 0.75, 0.125];
  for (const per of ['batch', 'example'] as const) {
    const plasticity = threeFactor(rule, scalar({ baseline: 0.5, per } as { per: 'batch' }));
    // A power of two, so that not even rounding is different.
    const shifted = increments(plasticity, rewards(sequence.map((reward) => reward + 16)));
    expect(shifted).toEqual(increments(plasticity, rewards(sequence)));
  }
});

it('a factor per example that is the same everywhere is that factor for the batch', () => {
  const sequence = [0.3, 1.1, -0.7, 0.2];
  const perBatch = increments(threeFactor(rule, scalar({ baseline: 0.9 })), rewards(sequence));
  const each = sequence.map((value) => () => ({ reward: tf.fill([BATCH], value) }));
  const perExample = increments(threeFactor(rule, scalar({ baseline: 0.9, per: 'example' })), each);
  expect(perExample).toBeAllClose(perBatch, { rtol: 1e-4, atol: 1e-6 });
  expect(Math.max(...(perExample[1] as number[]).map(Math.abs))).toBeCloseTo(0.8, 5);
});

it('refuses a factor per example for a loss, which is one number', () => {
  expect(() => scalar({ on: 'loss', per: 'example' } as never)).toThrow(
    expect.objectContaining({ code: 'PER_EXAMPLE_REFUSED' }),
  );
});
