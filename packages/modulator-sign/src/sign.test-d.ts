/** Misuses of `sign()`, and of signals in general, that are compile-time errors. */
import { type SignalName, threeFactor } from '@ghl/core';
import type { AvailableSignals } from '@ghl/core/engine';
import type { Stateless, WeightModulator } from '@ghl/core/plugin';
import type * as tf from '@tensorflow/tfjs-core';
import { expectTypeOf, it } from 'vitest';
import { sign } from './sign.js';

declare module '@ghl/core' {
  interface Signals {
    /** A signal of a project's own. */
    readonly novelty: tf.Tensor;
  }
}

declare const eligibility: tf.Tensor;
declare const context: Parameters<ReturnType<typeof sign>['modulate']>[2];

it('rejects a reward', () => {
  const reward = {} as tf.Tensor;
  // @ts-expect-error a reward is no gradient
  sign().modulate(eligibility, { reward }, context, {});
  // @ts-expect-error nor is a loss
  sign().modulate(eligibility, { loss: reward as tf.Scalar }, context, {});
  sign().modulate(eligibility, { gradient: reward }, context, {});
});

it('declares that it reads the gradient', () => {
  expectTypeOf(sign()).toEqualTypeOf<WeightModulator<'gradient', Stateless>>();
  expectTypeOf(sign().reads).toEqualTypeOf<readonly 'gradient'[]>();
});

it('has two modes', () => {
  sign({ mode: 'flip' });
  // @ts-expect-error there is no such mode
  sign({ mode: 'signed' });
});

it('accepts new signals by declaration merging', () => {
  expectTypeOf<SignalName>().toEqualTypeOf<'gradient' | 'loss' | 'reward' | 'input' | 'target' | 'novelty'>();
  expectTypeOf<AvailableSignals['novelty']>().toEqualTypeOf<tf.Tensor | undefined>();
  const curious: WeightModulator<'novelty'> = {
    spec: { name: 'curious', args: [] },
    actsOn: 'weights',
    reads: ['novelty'],
    init: () => ({}),
    modulate(delta, signals, _, state) {
      expectTypeOf(signals).toEqualTypeOf<{ readonly novelty: tf.Tensor }>();
      // @ts-expect-error it declares no reward
      signals.reward;
      return { increment: delta, state };
    },
  };
  threeFactor({} as Parameters<typeof threeFactor>[0], curious);
});
