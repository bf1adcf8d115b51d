/** The sizes of a layer that wrappers and transforms receive from the learner, for every kind of layer and weight. */
import '@tensorflow/tfjs-backend-cpu';
import { chain, gradientDescent, type LocalRule, local, type Transform } from '@ghl/core';
import { specOf, statelessTransform, type Units, type Wrapper, wrap } from '@ghl/core/plugin';
import { oja } from '@ghl/rule-oja';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { beforeAll, expect, it } from 'vitest';
import { plasticOptimizer } from './index.js';
import { lossOf, own, random } from './model.fixture.js';

beforeAll(async () => {
  await tf.setBackend('cpu');
});

type Record = [shape: readonly number[], units: Units];

/** A transform and a wrapper that record the shape of the weights and the units, at the start and in a step. */
function recording(): {
  readonly records: Record[];
  readonly transform: Transform;
  around(rule: LocalRule): LocalRule;
} {
  const records: Record[] = [];
  const transform: Transform = {
    ...statelessTransform(specOf('record'), (increment, { weights, units }) => {
      records.push([weights.shape, units]);
      return tf.clone(increment);
    }),
    init: (shape, units) => {
      records.push([shape, units]);
      return {};
    },
  };
  const wrapper: Wrapper = {
    spec: specOf('record'),
    linear: true,
    init: transform.init as Wrapper['init'],
    wrap: (_, { weights, units }, state) => {
      records.push([weights.shape, units]);
      return { apply: (eligibility) => eligibility, state };
    },
  };
  return { records, transform, around: (rule) => wrap(rule, 'record', wrapper) };
}

const net = () =>
  own(
    tfl.sequential({
      layers: [
        tfl.layers.conv2d({ name: 'conv', filters: 2, kernelSize: 3, inputShape: [6, 6, 3] }),
        tfl.layers.depthwiseConv2d({ name: 'depthwise', kernelSize: 2, depthMultiplier: 2 }),
        tfl.layers.reshape({ targetShape: [9, 4] }),
        tfl.layers.conv1d({ name: 'line', filters: 5, kernelSize: 3 }),
        tfl.layers.flatten(),
        tfl.layers.dense({ name: 'dense', units: 2 }),
      ],
    }),
  );

const kernels: Record[] = [
  [[3, 3, 3, 2], { fanIn: 27, fanOut: 2, taps: 9, groups: 1 }],
  [[2, 2, 2, 2], { fanIn: 4, fanOut: 4, taps: 4, groups: 2 }],
  [[3, 4, 5], { fanIn: 12, fanOut: 5, taps: 3, groups: 1 }],
  [[35, 2], { fanIn: 35, fanOut: 2, taps: 1, groups: 1 }],
];
const biases: Record[] = [2, 4, 5, 2].map((size) => [[size], { fanIn: 1, fanOut: size, taps: 1, groups: 1 }]);

it('gives a transform the units of each kernel and bias that gradient descent moves', () => {
  const { records, transform } = recording();
  const model = net();
  const optimizer = own(plasticOptimizer(model, { '*': chain(gradientDescent(), transform) }));
  const expected = kernels.flatMap((kernel, i) => [kernel, biases[i]]);
  expect(records).toEqual(expected);
  optimizer.minimize(lossOf(model, random([2, 6, 6, 3], 1)));
  expect(records).toEqual([...expected, ...expected]);
});

it('gives a wrapper the units of each kernel that a rule moves', () => {
  const { records, around } = recording();
  const model = net();
  const rule = local(around(oja()));
  const plan = { conv: rule, depthwise: rule, line: rule, dense: rule, '*': null };
  const optimizer = own(plasticOptimizer(model, plan));
  expect(records).toEqual(kernels);
  optimizer.minimize(lossOf(model, random([2, 6, 6, 3], 1)));
  expect(records).toEqual([...kernels, ...kernels]);
});
