/** Momentum, Adam, Lion and the limits of an increment, against float64 and against the optimizers of TensorFlow.js. */
import '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';
import { adam } from './adam.js';
import { clipByNorm, clipByValue } from './clip.js';
import { computeIncrement, initState } from './engine/index.js';
import { fromSpec } from './from-spec.js';
import { lion } from './lion.js';
import { momentum } from './momentum.js';
import { numbers } from './numbers.fixture.js';
import { chain, gradientDescent, type Plasticity } from './plasticity.js';
import { scaleBy, type Transform } from './transform.js';

const SIZE = 5;
const STEPS = 6;
const gradients = Array.from({ length: STEPS }, (_, step) => Array.from(numbers(step + 1, [SIZE])));

/** The increments of a plasticity for one gradient after the other. */
function increments(plasticity: Plasticity<'gradient'>, all: readonly (readonly number[])[] = gradients): number[][] {
  return tf.tidy(() => {
    let state = initState(plasticity, [(all[0] as number[]).length]);
    return all.map((gradient, step) => {
      const signals = { gradient: tf.tensor1d([...gradient]) };
      const input = { weights: tf.zerosLike(signals.gradient), signals, batch: 1, step };
      const result = computeIncrement(plasticity, input, state);
      state = result.state as typeof state;
      return Array.from(result.increment.dataSync());
    });
  });
}

const steps = (transform: Transform, all?: readonly (readonly number[])[]) =>
  increments(chain(gradientDescent(), transform), all);

/** The increments of a tfjs optimizer with step size 1. */
function incrementsOf(optimizer: tf.Optimizer): number[][] {
  const variable = tf.tidy(() => tf.variable(tf.zeros([SIZE])));
  const result = gradients.map((gradient) =>
    tf.tidy(() => {
      const before = variable.dataSync().slice();
      optimizer.applyGradients({ [variable.name]: tf.tensor1d(gradient) });
      return Array.from(variable.dataSync(), (value, i) => value - (before[i] as number));
    }),
  );
  optimizer.dispose();
  (optimizer as tf.Optimizer & { c?: tf.Scalar }).c?.dispose(); // which tf.train.momentum leaves
  variable.dispose();
  return result;
}

function expectClose(actual: readonly (readonly number[])[], expected: readonly (readonly number[])[]) {
  expect(actual.length).toBe(expected.length);
  for (const [i, row] of expected.entries()) {
    for (const [j, value] of row.entries()) expect(actual[i]?.[j]).toBeCloseTo(value, 5);
  }
}

/** Runs a scalar recurrence in float64 for each weight. */
function oracle<S>(start: () => S, next: (state: S, delta: number, t: number) => number): number[][] {
  const states = Array.from({ length: SIZE }, start);
  return gradients.map((row, t) => row.map((gradient, i) => next(states[i] as S, -gradient, t + 1)));
}

describe('momentum', () => {
  it('adds a decayed sum of earlier increments: 1, 1.5, 1.75 for a constant increment and β = ½', () => {
    expect(steps(momentum({ decay: 0.5 }), [[-1], [-1], [-1]])).toEqual([[1], [1.5], [1.75]]);
    expect(steps(momentum({ decay: 0.5, nesterov: true }), [[-1], [-1]])).toEqual([[1.5], [1.75]]);
  });

  it.each([false, true])('equals a float64 recurrence and tf.train.momentum, nesterov: %s', (nesterov) => {
    const expected = oracle(
      () => ({ m: 0 }),
      (state, delta) => {
        state.m = 0.9 * state.m + delta;
        return nesterov ? delta + 0.9 * state.m : state.m;
      },
    );
    const actual = steps(momentum({ nesterov }));
    expectClose(actual, expected);
    expectClose(actual, incrementsOf(tf.train.momentum(1, 0.9, nesterov)));
  });

  it('reads a schedule at the step', () => {
    // m = 1, then 1·1 + 1, then 0·2 + 1
    expect(steps(momentum({ decay: (step) => (step === 1 ? 1 : 0) }), [[-1], [-1], [-1]])).toEqual([[1], [2], [1]]);
  });
});

describe('adam', () => {
  it('equals a float64 recurrence and tf.train.adam', () => {
    const [beta1, beta2, epsilon] = [0.8, 0.95, 1e-3];
    const expected = oracle(
      () => ({ m: 0, v: 0 }),
      (state, delta, t) => {
        state.m = beta1 * state.m + (1 - beta1) * delta;
        state.v = beta2 * state.v + (1 - beta2) * delta ** 2;
        return state.m / (1 - beta1 ** t) / (Math.sqrt(state.v / (1 - beta2 ** t)) + epsilon);
      },
    );
    const actual = steps(adam({ beta1, beta2, epsilon }));
    expectClose(actual, expected);
    expectClose(actual, incrementsOf(tf.train.adam(1, beta1, beta2, epsilon)));
  });

  it('does not depend on the scale of the increments, except for ε', () => {
    const scaled = gradients.map((row) => row.map((value) => 2 ** 20 * value));
    expectClose(steps(adam({ epsilon: 1e-30 }), scaled), steps(adam({ epsilon: 1e-30 })));
  });
});

describe('lion', () => {
  it('equals a float64 recurrence', () => {
    const expected = oracle(
      () => ({ m: 0 }),
      (state, delta) => {
        const step = Math.sign(0.9 * state.m + 0.1 * delta);
        state.m = 0.99 * state.m + 0.01 * delta;
        return step;
      },
    );
    expect(steps(lion())).toEqual(expected);
  });

  it('is the sign of the increment without momentum', () => {
    expect(steps(lion({ beta1: 0 }))).toEqual(gradients.map((row) => row.map((gradient) => -Math.sign(gradient))));
  });
});

describe('a limit', () => {
  it('clips each number by value, and the whole increment by its norm', () => {
    expect(steps(clipByValue(2), [[-3, 1, -2, 5]])).toEqual([[2, -1, 2, -2]]);
    expect(steps(clipByNorm(2.5), [[3, -4]])).toEqual([[-1.5, 2]]);
  });

  it('does not change an increment within the limit, bit for bit', () => {
    for (const limit of [clipByValue(10), clipByNorm(10)]) {
      expect(steps(limit)).toEqual(increments(gradientDescent()));
    }
  });

  it('clips to 0, and does not change an increment of 0', () => {
    const zero = (rows: number[][]) => rows.flat().every((value) => value === 0);
    for (const clip of [clipByValue, clipByNorm]) {
      expect(zero(steps(clip(0), [[3, -4]]))).toBe(true);
      expect(zero(steps(clip(0), [[0, 0]]))).toBe(true);
      expect(zero(steps(clip(1), [[0, 0]]))).toBe(true);
    }
  });

  it('keeps a non-finite increment, and an overflow of the norm, visible', () => {
    for (const gradient of [
      [Number.NaN, 1],
      [Number.POSITIVE_INFINITY, 1],
      [1e30, 1],
    ]) {
      expect(steps(clipByNorm(1), [gradient]).flat().every(Number.isFinite)).toBe(false);
    }
    expect(steps(clipByValue(1), [[Number.NaN, 1]])[0]?.[0]).toBeNaN();
  });
});

it.each<Transform>([
  momentum({ decay: 0.5, nesterov: true }),
  adam({ beta1: 0.5 }),
  lion({ beta2: 0.5 }),
  clipByValue(0.1),
  clipByNorm(0.1),
])('rebuilds $spec.name from its spec', (transform) => {
  const plasticity = chain(gradientDescent(), transform, scaleBy(0.5));
  const rebuilt = fromSpec<Plasticity<'gradient'>>(JSON.parse(JSON.stringify(plasticity.spec)));
  expect(rebuilt.spec).toEqual(plasticity.spec);
  expect(increments(rebuilt)).toEqual(increments(plasticity));
});

it.each<[string, () => Transform]>([
  ['momentum decay', () => momentum({ decay: 1.5 })],
  ['adam beta1', () => adam({ beta1: 1 })],
  ['adam epsilon', () => adam({ epsilon: 0 })],
  ['lion beta2', () => lion({ beta2: -0.1 })],
  ['clipByValue', () => clipByValue(-1)],
  ['clipByNorm', () => clipByNorm(Number.NaN)],
])('rejects a bad %s', (name, make) => {
  expect(make).toThrow(expect.objectContaining({ code: 'BAD_VALUE', summary: expect.stringContaining(name) }));
});
