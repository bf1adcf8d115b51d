import '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import { expect, it } from 'vitest';
import { computeIncrement, initState } from './engine/index.js';
import { fromSpec } from './from-spec.js';
import { chain, gradientDescent, type Plasticity } from './plasticity.js';
import { initBaseline, predictionError } from './prediction-error.js';
import { cosine } from './schedule.js';
import { specOf } from './spec.js';
import { decayWeights, scaleBy, type Transform } from './transform.js';

const weights = [2, -4];
const after = (plasticity: ReturnType<typeof gradientDescent>, step = 0) =>
  tf.tidy(() => {
    const input = { weights: tf.tensor1d(weights), signals: { gradient: tf.tensor1d([1, -3]) }, batch: 1, step };
    return [...computeIncrement(plasticity, input, initState(plasticity, [2])).increment.dataSync()];
  });

it('subtracts the gradient [1, −3] in gradientDescent', () => expect(after(gradientDescent())).toEqual([-1, 3]));

it('multiplies the increment in scaleBy, by a number or by the value of a schedule at the step', () => {
  expect(after(chain(gradientDescent(), scaleBy(0.5)))).toEqual([-0.5, 1.5]);
  const schedule = scaleBy((step) => step);
  expect(after(chain(gradientDescent(), schedule), 2)).toEqual([-2, 6]);
});

it('couples the decay to the step size before scaleBy, and not after it', () => {
  // −∂L/∂W = [−1, 3] and ½·W = [1, −2]
  expect(after(chain(gradientDescent(), decayWeights(0.5), scaleBy(0.25)))).toEqual([(-1 - 1) / 4, (3 + 2) / 4]);
  expect(after(chain(gradientDescent(), scaleBy(0.25), decayWeights(0.5)))).toEqual([-0.25 - 1, 0.75 + 2]);
  expect(
    after(
      chain(
        gradientDescent(),
        decayWeights((step) => step / 4),
      ),
      2,
    ),
  ).toEqual([-2, 5]);
});

it('applies a chain of a chain in order', () => {
  const inner = chain(gradientDescent(), decayWeights(0.5));
  expect(after(chain(inner, scaleBy(0.25)))).toEqual(after(chain(gradientDescent(), decayWeights(0.5), scaleBy(0.25))));
});

it('rejects a factor or rate that is not a finite number', () => {
  expect(() => scaleBy(Number.NaN)).toThrow(expect.objectContaining({ code: 'BAD_VALUE' }));
  expect(() => decayWeights(Number.POSITIVE_INFINITY)).toThrow(expect.objectContaining({ code: 'BAD_VALUE' }));
});

it('starts a baseline at the first value, and measures each error from the baseline before it', () => {
  tf.tidy(() => {
    let state = initBaseline();
    const differences = [4, 6, 2].map((value) => {
      const next = predictionError(state, tf.scalar(value), 0.75);
      state = next.state;
      return next.error.dataSync()[0];
    });
    // Baselines 4, then 4.5, then 3.875.
    expect(differences).toEqual([0, 2, -2.5]);
    expect(state.mean.dataSync()[0]).toBe(3.875);
  });
});

it('applies a chain without a head as the tail of another chain', () => {
  const tail = chain(decayWeights(0.5), scaleBy(cosine(2, 4)));
  const named = chain(gradientDescent(), tail, scaleBy(3));
  const spelled = chain(gradientDescent(), decayWeights(0.5), scaleBy(cosine(2, 4)), scaleBy(3));
  expect(named.transforms).toHaveLength(3);
  for (const step of [0, 1, 3]) expect(after(named, step)).toEqual(after(spelled, step));
  expect(fromSpec<Plasticity<'gradient'>>(named.spec).spec).toEqual(named.spec);
  expect(after(fromSpec(named.spec), 1)).toEqual(after(spelled, 1));
});

it('updates a chain without a head as one transform, with the state of each part', () => {
  const counter: Transform = {
    spec: specOf('counter'),
    init: () => ({ count: tf.scalar(0) }),
    update: (increment, _, { count }) => ({ increment: tf.add(increment, count), state: { count: tf.add(count, 1) } }),
  };
  tf.tidy(() => {
    const tail = chain(counter, scaleBy(10), counter);
    const units = { fanIn: 1, fanOut: 2, taps: 1, groups: 1 };
    const context = { weights: tf.tensor1d(weights), units, step: 0 };
    const first = tail.update(tf.tensor1d([1, 2]), context, tail.init([2], units));
    const second = tail.update(tf.tensor1d([1, 2]), context, first.state);
    expect([...first.increment.dataSync()]).toEqual([10, 20]);
    expect([...second.increment.dataSync()]).toEqual([21, 31]);
  });
});
