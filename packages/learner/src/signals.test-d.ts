import { chain, local, type Plasticity, scaleBy, sgd, sum, threeFactor } from '@ghl/core';
import type { PerActivityModulator, WeightModulator } from '@ghl/core/plugin';
import { scalar } from '@ghl/modulator-scalar';
import { sign } from '@ghl/modulator-sign';
import { oja } from '@ghl/rule-oja';
import * as tf from '@tensorflow/tfjs-core';
import type * as tfl from '@tensorflow/tfjs-layers';
import { describe, expectTypeOf, it } from 'vitest';
import { type Assignment, type PlasticOptimizer, plasticOptimizer, type SignalInputs } from './index.js';

declare module '@ghl/core' {
  interface Signals {
    /** A third-party signal: one number per unit of the layer. */
    readonly novelty: tf.Tensor;
  }
}

declare const model: tfl.LayersModel;
declare const optimizer: PlasticOptimizer;
declare const loss: tf.Scalar;

describe('signals', () => {
  it('accept numbers, tensors and functions by name', () => {
    optimizer.minimize(() => loss, { signals: { reward: 1 } });
    optimizer.minimize(() => loss, { signals: { reward: tf.zeros([3]) } });
    optimizer.minimize(() => loss, { signals: { reward: () => 1, loss: () => loss } });
    // @ts-expect-error: a misspelt name
    optimizer.minimize(() => loss, { signals: { rewrad: 1 } });
    // @ts-expect-error: not a number
    optimizer.minimize(() => loss, { signals: { reward: '1' } });
    // @ts-expect-error: a promise comes too late
    optimizer.minimize(() => loss, { signals: { reward: async () => 1 } });
  });

  it('exclude the gradient, which the step computes itself', () => {
    expectTypeOf<SignalInputs>().not.toHaveProperty('gradient');
    // @ts-expect-error: nobody hands it in
    optimizer.minimize(() => loss, { signals: { gradient: loss } });
  });

  it('accept names from declaration merging', () => {
    expectTypeOf<SignalInputs>().toHaveProperty('novelty');
    optimizer.minimize(() => loss, { signals: { novelty: () => tf.zeros([4]) } });
    const byNovelty: WeightModulator<'novelty'> = {
      spec: { name: 'byNovelty', args: [] },
      actsOn: 'weights',
      reads: ['novelty'],
      init: () => ({}),
      modulate: (eligibility, { novelty }, _, state) => ({ increment: tf.mul(eligibility, novelty), state }),
    };
    plasticOptimizer(model, { conv: threeFactor(oja(), byNovelty) });
  });
});

describe('minimize', () => {
  const byReward = threeFactor(oja(), scalar());

  it('requires the signals that a statically typed assignment reads', () => {
    const learner = plasticOptimizer(model, { act: byReward, '*': sgd(0.1) });
    learner.minimize(() => loss, { signals: { reward: 1 } });
    learner.minimize(() => loss, { signals: { reward: 1, novelty: () => tf.zeros([4]) }, returnCost: true });
    // @ts-expect-error: no options
    learner.minimize(() => loss);
    // @ts-expect-error: no signals
    learner.minimize(() => loss, { returnCost: true });
    // @ts-expect-error: no reward
    learner.minimize(() => loss, { signals: {} });
    // @ts-expect-error: another signal
    learner.minimize(() => loss, { signals: { novelty: 1 } });
  });

  it('requires the signals of every plasticity of the assignment', () => {
    const learner = plasticOptimizer(model, { a: byReward, b: threeFactor(oja(), {} as WeightModulator<'novelty'>) });
    learner.minimize(() => loss, { signals: { reward: 1, novelty: () => tf.zeros([4]) } });
    // @ts-expect-error: no novelty
    learner.minimize(() => loss, { signals: { reward: 1 } });
  });

  it('requires the input and the labels that a modulator reads', () => {
    const byLabels = {} as PerActivityModulator<'input' | 'target'>;
    const learner = plasticOptimizer(model, { a: chain(threeFactor(oja(), byLabels), scaleBy(0.1)), '*': sgd(0.1) });
    learner.minimize(() => loss, { signals: { input: tf.zeros([2, 3]), target: () => tf.zeros([2, 1]) } });
    // @ts-expect-error: no target
    learner.minimize(() => loss, { signals: { input: tf.zeros([2, 3]) } });
    // @ts-expect-error: no options
    learner.minimize(() => loss);
    model.compile({ optimizer: learner, loss: 'meanSquaredError' });
  });

  it('requires the signals of every part of a sum', () => {
    const total = sum(sgd(0.1), byReward, chain(local(oja()), scaleBy(0.1)));
    expectTypeOf(total).toEqualTypeOf<Plasticity<'gradient' | 'reward'>>();
    expectTypeOf(sum(local(oja()))).toEqualTypeOf<Plasticity<never>>();
    plasticOptimizer(model, { a: total }).minimize(() => loss, { signals: { reward: 1 } });
    // @ts-expect-error: no reward
    plasticOptimizer(model, { a: total }).minimize(() => loss);
    // @ts-expect-error: a rule alone is not a plasticity
    sum(oja());
  });

  it('requires no signal that the step computes itself', () => {
    plasticOptimizer(model, { a: threeFactor(oja(), sign()), b: sgd(0.1), c: null, d: tf.train.adam() }).minimize(
      () => loss,
    );
    plasticOptimizer(model, { a: threeFactor(oja(), scalar({ on: 'loss' })) }).minimize(() => loss);
    plasticOptimizer(model, { a: local(oja()) }).minimize(() => {});
  });

  it('requires no signal of a loosely typed assignment', () => {
    const assignment: Assignment = { act: byReward };
    plasticOptimizer(model, assignment).minimize(() => loss);
    plasticOptimizer(model, { act: byReward as Plasticity }).minimize(() => loss);
  });

  it('keeps the optimizer assignable to tf.Optimizer and to the untyped PlasticOptimizer', () => {
    const learner = plasticOptimizer(model, { act: byReward });
    model.compile({ optimizer: learner, loss: 'meanSquaredError' });
    const untyped: PlasticOptimizer = learner;
    untyped.minimize(() => loss, true, []);
  });
});

describe('assignments', () => {
  it('accept plasticities, tfjs optimizers and null', () => {
    plasticOptimizer(model, { conv: threeFactor(oja(), sign()), bn: null, '*': tf.train.adam() });
    expectTypeOf(local(oja())).toExtend<Assignment[string]>();
    // @ts-expect-error: a rule alone is not a plasticity
    plasticOptimizer(model, { conv: oja() });
    // @ts-expect-error: nor is a modulator
    plasticOptimizer(model, { conv: scalar() });
    // @ts-expect-error: nor a number
    plasticOptimizer(model, { conv: 0.1 });
  });
});

describe('the forward pass', () => {
  it('may return a scalar or nothing', () => {
    optimizer.minimize(() => undefined);
    optimizer.minimize(() => {
      tf.zeros([1]);
    });
    expectTypeOf(optimizer.minimize(() => loss, true)).toEqualTypeOf<tf.Scalar | null>();
    // @ts-expect-error: a promise
    optimizer.minimize(async () => loss);
  });
});
