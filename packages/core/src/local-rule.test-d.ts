/** Locality is a type error to break. */
import type * as tf from '@tensorflow/tfjs-core';
import { expectTypeOf, it } from 'vitest';
import type { LocalContext, LocalRule } from './local-rule.js';
import type { GlobalModulator, PerExampleModulator, WeightModulator } from './modulator.js';
import { chain, gradientDescent, local, type Plasticity, threeFactor } from './plasticity.js';
import type { Stateless } from './state.js';
import { scaleBy } from './transform.js';

it('shows a rule its own activity and weights, and nothing else', () => {
  expectTypeOf<keyof LocalContext>().toEqualTypeOf<'post' | 'weights' | 'units' | 'step' | 'forward'>();
});

it('hides the gradient, the loss, a reward and a label from a rule', () => {
  const cheat: LocalRule = {
    spec: { name: 'cheat', args: [] },
    init: () => ({}),
    // @ts-expect-error the gradient is not local
    gate: ({ gradient }, state) => ({ gate: gradient, scope: 'none', state }),
  };
  const context = {} as LocalContext;
  // @ts-expect-error the loss is not local
  context.loss;
  // @ts-expect-error a reward is not local
  context.reward;
  // @ts-expect-error a label is not local
  context.labels;
  void cheat;
});

it('rejects a third argument of a rule', () => {
  const gate = (context: LocalContext, state: Stateless, gradient: tf.Tensor2D) => ({
    gate: gradient,
    scope: 'none' as const,
    state,
    context,
  });
  // @ts-expect-error the engine hands in two
  const cheat: LocalRule<Stateless> = { spec: { name: 'cheat', args: [] }, init: () => ({}), gate };
  void cheat;
});

it('makes a context read-only', () => {
  const context = {} as LocalContext;
  // @ts-expect-error read only
  context.post = context.weights;
});

it('has four scopes', () => {
  const rule = {} as LocalRule;
  expectTypeOf<ReturnType<typeof rule.gate>['scope']>().toEqualTypeOf<'none' | 'own' | 'earlier' | 'all'>();
});

it('shows a modulator only the signals that it reads', () => {
  expectTypeOf<Parameters<WeightModulator<'loss'>['modulate']>[1]>().toEqualTypeOf<{ readonly loss: tf.Scalar }>();
  expectTypeOf<Parameters<PerExampleModulator<'reward'>['factor']>[0]>().toEqualTypeOf<{
    readonly reward: tf.Tensor;
  }>();
  const modulator = {} as WeightModulator<'gradient'>;
  // @ts-expect-error it reads the gradient
  modulator.modulate({} as tf.Tensor, { reward: {} as tf.Tensor }, {} as never, {});
});

it('accepts every modulator in a product', () => {
  expectTypeOf<WeightModulator<'gradient'>>().toExtend<GlobalModulator<'gradient'>>();
  threeFactor({} as LocalRule, {} as PerExampleModulator<'reward'>);
  // @ts-expect-error a rule is no modulator
  threeFactor({} as LocalRule, {} as LocalRule);
});

it('types a plasticity by the signals that it reads', () => {
  expectTypeOf(threeFactor({} as LocalRule, {} as PerExampleModulator<'reward'>)).toEqualTypeOf<Plasticity<'reward'>>();
  expectTypeOf(chain(gradientDescent(), scaleBy(1))).toEqualTypeOf<Plasticity<'gradient'>>();
  expectTypeOf(local({} as LocalRule)).toEqualTypeOf<Plasticity<never>>();
  expectTypeOf<Plasticity<'reward'>>().toExtend<Plasticity>();
});
