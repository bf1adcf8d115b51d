import '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import { expect, it } from 'vitest';
import { computeIncrement, initState } from './engine/engine.js';
import { chain, gradientDescent } from './plasticity.js';
import { initBaseline, predictionError } from './prediction-error.js';
import { decayWeights, scaleBy } from './transform.js';

const weights = [2, -4];
const after = (plasticity: ReturnType<typeof gradientDescent>, step = 0) =>
  tf.tidy(() => {
    const input = { weights: tf.tensor1d(weights), signals: { gradient: tf.tensor1d([1, -3]) }, batch: 1, step };
    return [...computeIncrement(plasticity, input, initState(plasticity, [2])).increment.dataSync()];
  });

it('gradient descends', () => expect(after(gradientDescent())).toEqual([-1, 3]));

it('scaleBy multiplies, by a number or by the schedule at the step', () => {
  expect(after(chain(gradientDescent(), scaleBy(0.5)))).toEqual([-0.5, 1.5]);
  const schedule = scaleBy((step) => step);
  expect(after(chain(gradientDescent(), schedule), 2)).toEqual([-2, 6]);
});

it('decay before the step size is coupled to it, after it not', () => {
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

it('a chain of a chain applies both, in order', () => {
  const inner = chain(gradientDescent(), decayWeights(0.5));
  expect(after(chain(inner, scaleBy(0.25)))).toEqual(after(chain(gradientDescent(), decayWeights(0.5), scaleBy(0.25))));
});

it('refuses numbers that are none', () => {
  expect(() => scaleBy(Number.NaN)).toThrow(expect.objectContaining({ code: 'BAD_VALUE' }));
  expect(() => decayWeights(Number.POSITIVE_INFINITY)).toThrow(expect.objectContaining({ code: 'BAD_VALUE' }));
});

it('a baseline starts at the first value and follows, and deviation is from the one before', () => {
  tf.tidy(() => {
    let state = initBaseline();
    const found = [4, 6, 2].map((value) => {
      const next = predictionError(state, tf.scalar(value), 0.75);
      state = next.state;
      return next.error.dataSync()[0];
    });
    // Baselines 4, then 4.5, then 3.875.
    expect(found).toEqual([0, 2, -2.5]);
    expect(state.mean.dataSync()[0]).toBe(3.875);
  });
});
