/** Constraints of the weights and step sizes per unit: oracles, 1,000 steps, order in a chain, bad arguments. */
import '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';
import { bounds, dale, keepZeros, unitNorm } from './constraints.js';
import { computeIncrement, conv2d, dense, depthwiseConv2d, fusedOperations, initState } from './engine/index.js';
import { fromSpec } from './from-spec.js';
import { numbers } from './numbers.fixture.js';
import { chain, gradientDescent, type Plasticity, sum } from './plasticity.js';
import { linear } from './schedules.js';
import { decayWeights, scaleBy, type Transform } from './transform.js';
import { unitStep } from './unit-step.js';
import type { Units } from './units.js';

interface Weight {
  readonly shape: number[];
  readonly units: Units;
}

const weightOf = ({
  kernelShape,
  units,
}: {
  readonly kernelShape: readonly number[];
  readonly units: Units;
}): Weight => ({
  shape: [...kernelShape],
  units,
});

const kernels: Record<string, Weight> = {
  dense: weightOf(dense([6, 4])),
  conv2d: weightOf(conv2d([2, 2, 3, 4])),
  'depthwise conv2d': weightOf(depthwiseConv2d([2, 2, 3, 2])),
};

/** The weights after steps of gradient descent on random gradients, with transforms. */
function trained(weight: Weight, transforms: Transform[], start: number[], steps: number, scale = 1): number[] {
  const plasticity = chain(gradientDescent(), scaleBy(0.1), ...transforms);
  return tf.tidy(() => {
    let weights: tf.Tensor = tf.tensor(start, weight.shape);
    let state = initState(plasticity, weight.shape, weight.units);
    for (let step = 0; step < steps; step++) {
      [weights, state] = tf.tidy(() => {
        const gradient = tf.tensor(numbers(step + 1, weight.shape), weight.shape);
        const input = { weights, signals: { gradient }, units: weight.units, batch: 1, step, scale };
        const result = computeIncrement(plasticity as Plasticity, input, state);
        return [tf.add(weights, result.increment), result.state] as never;
      }) as unknown as [tf.Tensor, typeof state];
    }
    return Array.from(weights.dataSync());
  });
}

const startOf = (weight: Weight) => Array.from(numbers(100, weight.shape));
const unitsOf = (weights: readonly number[], { units: { fanOut } }: Weight): number[][] =>
  Array.from({ length: fanOut }, (_, k) => weights.filter((_, i) => i % fanOut === k));
const norm = (values: readonly number[]) => Math.hypot(...values);

/** The weights of each input channel: the second axis from the end. */
function inputsOf(weights: readonly number[], { shape }: Weight): number[][] {
  const [channels, last] = [shape.at(-2)!, shape.at(-1)!];
  return Array.from({ length: channels }, (_, c) => weights.filter((_, i) => Math.floor(i / last) % channels === c));
}

describe.each(Object.entries(kernels))('over many steps of a %s kernel', (kind, weight) => {
  const steps = kind === 'dense' ? 1000 : 100;
  const start = startOf(weight);

  it('unitNorm keeps each unit on its sphere to 1e-6', () => {
    for (const radius of [1, 25]) {
      const end = trained(weight, [unitNorm({ radius })], start, steps);
      for (const unit of unitsOf(end, weight)) expect(Math.abs(norm(unit) / radius - 1)).toBeLessThan(1e-6);
      expect(end).not.toEqual(start);
    }
  });

  it('dale keeps the sign of the sum of the outgoing weights of each input', () => {
    const last = weight.shape.at(-1)!;
    const signOf = (i: number) => (Math.floor(i / last) % 2 === 0 ? 1 : -1);
    const signed = start.map((value, i) => value + 2 * signOf(i % (last * weight.shape.at(-2)!)));
    const end = trained(weight, [dale()], signed, steps);
    const signs = inputsOf(signed, weight).map((input) => Math.sign(input.reduce((a, b) => a + b)));
    expect(new Set(signs).size).toBe(2);
    for (const [i, input] of inputsOf(end, weight).entries()) {
      expect(input.every((value) => value === 0 || Math.sign(value) === signs[i])).toBe(true);
    }
    expect(end.filter(Boolean).length).toBeGreaterThan(end.length / 4);
  });

  it('bounds keeps each weight in its interval, and keepZeros each zero', () => {
    const sparse = start.map((value, i) => (i % 3 === 0 ? 0 : value));
    const end = trained(weight, [keepZeros(), bounds(-0.25, 0.5)], sparse, steps);
    for (const [i, value] of end.entries()) {
      expect(value).toBeGreaterThanOrEqual(-0.25 - 1e-6);
      expect(value).toBeLessThanOrEqual(0.5 + 1e-6);
      if (i % 3 === 0) expect(value).toBe(0);
    }
    expect(end.filter((value) => value !== 0 && Math.abs(value) < 0.2).length).toBeGreaterThan(0);
  });

  it('all together hold at once, at any scale of the step', () => {
    const sparse = start.map((value, i) => (i % 5 === 0 ? 0 : value));
    const end = trained(weight, [keepZeros(), dale(), bounds(-1), unitNorm()], sparse, 100, 0.5);
    for (const unit of unitsOf(end, weight)) expect(Math.abs(norm(unit) - 1)).toBeLessThan(1e-6);
    for (const [i, value] of end.entries()) if (i % 5 === 0) expect(value).toBe(0);
    for (const input of inputsOf(end, weight)) expect(new Set(input.map(Math.sign)).size).toBeLessThanOrEqual(2);
  });

  it('unitStep scales each unit by the distance of its norm from 1', () => {
    const plain = trained(weight, [], start, 1).map((value, i) => value - start[i]!);
    const norms = unitsOf(start, weight).map(norm);
    for (const power of [0.5, 0, 2]) {
      const end = trained(weight, [unitStep(linear(2, 0, 4), { power })], start, 1);
      const expected = plain.map((delta, i) => {
        const distance = Math.abs(norms[i % norms.length]! - 1) + 1e-10;
        return start[i]! + 2 * distance ** power * delta;
      });
      expect(end).toBeAllClose(expected, { rtol: 1e-4, atol: 1e-6 });
    }
  });
});

it("unitStep takes SoftHebb's steps: √24 times η at a norm of 25, and 1e-5 times η at a norm of 1", () => {
  const weight = weightOf(dense([1, 2]));
  const moved = trained(weight, [unitStep(0.08)], [25, 1], 1);
  const plain = trained(weight, [], [25, 1], 1);
  expect((moved[0]! - 25) / (plain[0]! - 25)).toBeCloseTo(0.08 * Math.sqrt(24), 4);
  expect(Math.abs(moved[1]! - 1)).toBeLessThan(1e-6);
});

it('unitNorm keeps a unit whose weights are all 0', () => {
  const plasticity = chain(gradientDescent(), unitNorm());
  tf.tidy(() => {
    const weights = tf.zeros([2, 2]);
    const input = {
      weights,
      signals: {
        gradient: tf.tensor2d([
          [3, 0],
          [4, 0],
        ]),
      },
      batch: 1,
      step: 0,
    };
    const { increment } = computeIncrement(plasticity, input, initState(plasticity, [2, 2]));
    expect(increment).toBeAllClose([
      [-0.6, 0],
      [-0.8, 0],
    ]);
  });
});

it('dale gives an input whose weights are all 0 the sign of its first weights, and does not constrain a bias', () => {
  const after = (shape: number[], start: number[], gradients: number[][]) =>
    tf.tidy(() => {
      const plasticity = chain(gradientDescent(), dale());
      let [weights, state] = [tf.tensor(start, shape) as tf.Tensor, initState(plasticity, shape)];
      for (const [step, values] of gradients.entries()) {
        const input = { weights, signals: { gradient: tf.tensor(values, shape) }, batch: 1, step };
        const result = computeIncrement(plasticity, input, state);
        [weights, state] = [tf.add(weights, result.increment), result.state];
      }
      return Array.from(weights.dataSync());
    });
  expect(
    after(
      [1, 2],
      [0, 0],
      [
        [0, 0],
        [3, -1],
        [-9, 0],
      ],
    ),
  ).toEqual([0, 0]);
  expect(
    after(
      [1, 2],
      [0, 0],
      [
        [0, 0],
        [3, -1],
      ],
    ),
  ).toEqual([-3, 0]);
  expect(after([2], [1, -1], [[3, -3]])).toEqual([-2, 2]);
});

it('bounds one side only if the other is null', () => {
  const weight = weightOf(dense([1, 2]));
  const descend = (transform: Transform) => trained(weight, [transform], [0, 0], 1);
  const [low, high] = [Math.min(...trained(weight, [], [0, 0], 1)), Math.max(...trained(weight, [], [0, 0], 1))];
  expect(low).toBeLessThan(0);
  expect(high).toBeGreaterThan(0);
  expect(descend(bounds(0))).toBeAllClose(trained(weight, [], [0, 0], 1).map((value) => Math.max(value, 0)));
  expect(descend(bounds(null, 0))).toBeAllClose(trained(weight, [], [0, 0], 1).map((value) => Math.min(value, 0)));
});

describe('in a chain', () => {
  const code = expect.objectContaining({ code: 'CONSTRAINT_ORDER' });

  it.each<[string, () => unknown]>([
    ['scaleBy after unitNorm', () => chain(gradientDescent(), unitNorm(), scaleBy(0.1))],
    ['scaleBy after dale in a tail', () => chain(dale(), scaleBy(0.1))],
    [
      'a tail after a chain',
      () => chain(chain(gradientDescent(), bounds(0, 1)), chain(decayWeights(0.1), scaleBy(0.1))),
    ],
    ['dale after unitNorm', () => chain(gradientDescent(), unitNorm(), dale())],
    ['unitNorm twice', () => chain(gradientDescent(), unitNorm(), unitNorm())],
    ['a constraint in a term of a sum', () => sum(gradientDescent(), chain(gradientDescent(), keepZeros()))],
  ])('rejects %s', (_, make) => expect(make).toThrow(code));

  it('accepts constraints of values in any order before one of the norm, and after a sum', () => {
    const tail = chain(scaleBy(0.1), bounds(0, null), keepZeros(), dale(), unitNorm());
    expect(chain(sum(gradientDescent(), gradientDescent()), tail).transforms).toHaveLength(5);
  });

  it('have the step scaled before them', () => {
    const scale: Transform = { ...scaleBy(2), operation: () => ['scale', 2] };
    const constraint: Transform = { ...scaleBy(3), constraint: 'value', operation: () => ['scale', 3] };
    expect(fusedOperations(chain(gradientDescent(), scale, constraint), 0, 0.5)).toEqual([
      ['gradient'],
      ['scale', 2],
      ['scale', 0.5],
      ['scale', 3],
    ]);
    const weight = kernels.dense!;
    const [half, whole] = [0.5, 1].map((factor) => trained(weight, [bounds(null, -5)], startOf(weight), 1, factor));
    expect(half!.every((value) => Math.abs(value + 5) < 1e-5)).toBe(true);
    expect(half).toEqual(whole);
  });
});

it.each<Transform>([
  unitNorm({ radius: 2 }),
  unitNorm(),
  bounds(0, 1),
  bounds(null, 1),
  bounds(-1),
  dale(),
  keepZeros(),
  unitStep(linear(1, 0, 3), { power: 0.75 }),
  unitStep(0.1),
])('rebuilds $spec.name from its spec: $spec.args', (transform) => {
  const rebuilt = fromSpec<Transform>(JSON.parse(JSON.stringify(transform.spec)));
  expect(rebuilt.spec).toEqual(transform.spec);
  const weight = kernels.conv2d!;
  expect(trained(weight, [rebuilt], startOf(weight), 3)).toEqual(trained(weight, [transform], startOf(weight), 3));
});

it.each<[string, () => Transform]>([
  ['unitNorm radius', () => unitNorm({ radius: 0 })],
  ['bounds low', () => bounds(Number.NEGATIVE_INFINITY)],
  ['bounds high', () => bounds(1, 0)],
  ['unitStep is', () => unitStep(Number.NaN)],
  ['unitStep power', () => unitStep(1, { power: -1 })],
])('rejects a bad value: %s', (name, make) => {
  expect(make).toThrow(expect.objectContaining({ code: 'BAD_VALUE', summary: expect.stringContaining(name) }));
});
