/** Modulators with deliberate faults: each fails the cases in `fails`, and passes all others. */
import '@tensorflow/tfjs-backend-cpu';
import type { GlobalModulator, Hyperparameter, SignalName, Signals } from '@ghl/core';
import {
  type BaselineState,
  initBaseline,
  type PerActivityModulator,
  type PerExampleModulator,
  predictionError,
  specOf,
  valueAt,
  type WeightModulator,
} from '@ghl/core/plugin';
import * as tf from '@tensorflow/tfjs-core';
import { afterEach, describe, expect, it } from 'vitest';
import { type ConformanceCase, failures, type ModulatorClaims, modulatorCases } from '../index.js';

const failing = async (cases: ConformanceCase[]) => (await failures(cases)).map(({ id }) => id);

const leaks: tf.Tensor[] = [];
afterEach(() => tf.dispose(leaks.splice(0)));

const mean = (numbers: readonly number[]) => numbers.reduce((sum, each) => sum + each, 0) / numbers.length;

// The mutants are made from four modulators: a direction by the gradient, a factor relative to a baseline, one per
// example, and one per activity.

type Increment<R extends SignalName, S extends {} = Record<string, never>> = WeightModulator<R, S>;

function direction(): Increment<'gradient'> {
  return {
    spec: specOf('direction'),
    actsOn: 'weights',
    reads: ['gradient'],
    init: () => ({}),
    modulate: (eligibility, { gradient }, _, state) => ({
      increment: tf.neg(tf.mul(tf.sign(gradient), tf.abs(eligibility))),
      state,
    }),
  };
}

const directionClaims: ModulatorClaims = {
  reference: {
    modulate: ({ eligibility, signals }) => ({
      result: eligibility.map((delta, i) => -Math.sign(signals.gradient?.[i] as number) * Math.abs(delta)),
    }),
  },
  factor: 'weight',
  linear: false,
  descends: true,
  keepsMagnitude: true,
  allOrNothing: false,
  plugins: { direction },
};

interface Options {
  readonly rate?: Hyperparameter;
}

function advantage({ rate = 0.5 }: Options = {}): Increment<'loss', BaselineState> {
  return {
    spec: specOf('advantage', { rate }),
    actsOn: 'weights',
    reads: ['loss'],
    init: initBaseline,
    modulate(eligibility, { loss }, { step }, before) {
      const prediction = predictionError(before, loss, valueAt(rate, step));
      return { increment: tf.mul(eligibility, tf.neg(prediction.error)), state: prediction.state };
    },
  };
}

const advantageClaims: ModulatorClaims = {
  reference: {
    init: () => ({ mean: 0, seen: 0 }),
    modulate({ eligibility, signals }, state) {
      const { mean: baselineMean, seen } = state as { mean: number; seen: number };
      const loss = signals.loss?.[0] as number;
      const before = seen === 1 ? baselineMean : loss;
      return {
        result: eligibility.map((delta) => (before - loss) * delta),
        state: { mean: (before + loss) / 2, seen: 1 },
      };
    },
  },
  factor: 'layer',
  linear: true,
  baselined: true,
  plugins: { advantage },
  schedules: { rate: { make: (rate) => advantage({ rate }), values: [0.9, 0.2] } },
};

function relative(): PerExampleModulator<'reward', Record<string, never>> {
  return {
    spec: specOf('relative'),
    actsOn: 'example',
    reads: ['reward'],
    init: () => ({}),
    factor: ({ reward }, { batch }, state) => ({
      factor: tf.mul(tf.ones([batch]), tf.add(reward, tf.mean(reward))) as tf.Tensor1D,
      state,
    }),
  };
}

const relativeClaims: ModulatorClaims = {
  reference: {
    modulate({ signals, batch }) {
      const reward = signals.reward as number[];
      return { result: Array.from({ length: batch }, (_, p) => (reward[p] ?? (reward[0] as number)) + mean(reward)) };
    },
  },
  factor: 'example',
  baselined: false,
  plugins: { relative },
};

/** m = y·t, with t the sum of the labels of the example. */
function byLabels(): PerActivityModulator<'target', Record<string, never>> {
  return {
    spec: specOf('byLabels'),
    actsOn: 'activity',
    reads: ['target'],
    init: () => ({}),
    factor({ target }, { post, batch }, state) {
      const ofExamples = tf.reshape(post, [batch, batch === 0 ? 0 : post.size / batch]);
      return { factor: tf.reshape(tf.mul(ofExamples, tf.sum(target, 1, true)), post.shape) as tf.Tensor2D, state };
    },
  };
}

const byLabelsClaims: ModulatorClaims = {
  reference: {
    modulate({ post, signals, batch }) {
      const target = signals.target as readonly number[];
      const [size, width] = [post.length / batch, target.length / batch];
      const sumOf = (example: number) => mean(target.slice(example * width, (example + 1) * width)) * width;
      return { result: post.map((y, i) => y * sumOf(Math.floor(i / size))) };
    },
  },
  factor: 'activity',
  plugins: { byLabels },
};

/** The factors of {@link byLabels} with a change. */
function withFactor(
  change: (factor: tf.Tensor2D, signals: Pick<Signals, 'target'>) => tf.Tensor,
): PerActivityModulator<'target', Record<string, never>> {
  const sound = byLabels();
  return {
    ...sound,
    factor(signals, context, state) {
      const answer = sound.factor(signals, context, state);
      return { ...answer, factor: change(answer.factor, signals) as tf.Tensor2D };
    },
  };
}

/** Averages the rewards of a batch, which may be empty. */
function average(): Increment<'reward'> {
  return {
    spec: specOf('average'),
    actsOn: 'weights',
    reads: ['reward'],
    init: () => ({}),
    modulate: (eligibility, { reward }, _, state) => ({
      increment: tf.mul(eligibility, tf.div(tf.sum(reward), reward.size)),
      state,
    }),
  };
}

const averageClaims: ModulatorClaims = {
  reference: {
    modulate: ({ eligibility, signals }) => ({
      result: eligibility.map((delta) => mean(signals.reward as number[]) * delta),
    }),
  },
  factor: 'layer',
  linear: true,
  baselined: false,
  plugins: { average },
};

/** A modulator of weights with a changed increment. */
function changed<R extends SignalName, S extends {}>(
  sound: Increment<R, S>,
  change: (increment: tf.Tensor, eligibility: tf.Tensor, signals: Signals, state: S) => tf.Tensor,
): Increment<R, S> {
  return {
    ...sound,
    modulate(eligibility, signals, context, state) {
      const answer = sound.modulate(eligibility, signals, context, state);
      return { ...answer, increment: change(answer.increment, eligibility, signals as Signals, state) };
    },
  };
}

interface Mutant {
  readonly name: string;
  readonly fails: readonly string[];
  make(options?: Options): GlobalModulator;
  readonly claims: ModulatorClaims;
  /** Default: the mutant itself, under the name of the original. */
  readonly plugins?: ModulatorClaims['plugins'];
}

const mutants: Mutant[] = [
  {
    name: 'flipped sign',
    fails: ['reference', 'descent'],
    make: () => changed(direction(), tf.neg),
    claims: directionClaims,
  },
  {
    name: 'sign of 0 is 1',
    fails: ['reference', 'magnitude'],
    make: () =>
      changed(direction(), (_, eligibility, { gradient }) =>
        tf.where(tf.greaterEqual(gradient, 0), tf.neg(tf.abs(eligibility)), tf.abs(eligibility)),
      ),
    claims: directionClaims,
  },
  {
    name: 'the local rule decides, not the gradient',
    fails: ['reference', 'linearity', 'descent'],
    make: () => changed(direction(), (_, eligibility, { gradient }) => tf.mul(tf.sign(gradient), eligibility)),
    claims: directionClaims,
  },
  {
    name: 'as far as the gradient is steep',
    fails: ['reference', 'magnitude'],
    make: () => changed(direction(), (increment, _, { gradient }) => tf.mul(increment, tf.abs(gradient))),
    claims: directionClaims,
  },
  {
    name: 'undeclared loss',
    fails: ['signals'],
    make: () => changed(direction(), (increment, _, { loss }) => tf.mul(increment, tf.onesLike(loss))),
    claims: directionClaims,
  },
  {
    name: 'loss declared for nothing',
    fails: ['signals'],
    make: () => ({ ...direction(), reads: ['gradient', 'loss'] }),
    claims: directionClaims,
  },
  {
    name: 'increment laid out as [D, K]',
    fails: ['factor-shape'],
    make: () => changed(direction(), (increment) => tf.reshape(increment, [-1, increment.shape.at(-1) as number])),
    claims: directionClaims,
  },
  {
    name: 'NaN where the gradient is 0',
    fails: ['reference', 'finite', 'magnitude'],
    make: () => changed(direction(), (increment, _, { gradient }) => tf.div(tf.mul(increment, gradient), gradient)),
    claims: directionClaims,
  },
  {
    name: 'overflow on huge signals',
    fails: ['finite'],
    make: (options) =>
      changed(advantage(options), (increment, _, { loss }) => tf.div(tf.mul(increment, tf.exp(loss)), tf.exp(loss))),
    claims: advantageClaims,
  },
  { name: 'mean over no rewards', fails: ['empty'], make: average, claims: averageClaims },
  {
    name: 'gradient mutated in place',
    fails: ['purity'],
    make: () =>
      changed(direction(), (increment, _, { gradient }) => {
        gradient.dataSync().fill(0);
        return increment;
      }),
    claims: directionClaims,
  },
  {
    name: 'tensor kept',
    fails: ['leaks'],
    make: () =>
      changed(direction(), (increment) => {
        leaks.push(tf.keep(tf.clone(increment)));
        return increment;
      }),
    claims: directionClaims,
  },
  { name: 'claims to be linear', fails: ['linearity'], make: direction, claims: { ...directionClaims, linear: true } },
  { name: 'denies its descent', fails: ['descent'], make: direction, claims: { ...directionClaims, descends: false } },
  {
    name: 'denies that it keeps magnitudes',
    fails: ['magnitude'],
    make: direction,
    claims: { ...directionClaims, keepsMagnitude: false },
  },
  {
    name: 'claims all or nothing',
    fails: ['all-or-nothing'],
    make: direction,
    claims: { ...directionClaims, allOrNothing: true },
  },
  {
    name: 'claims a factor per unit',
    fails: ['factor-shape'],
    make: direction,
    claims: { ...directionClaims, factor: 'unit' },
  },
  {
    name: 'climbs the loss',
    fails: ['reference'],
    make: (options) => changed(advantage(options), tf.neg),
    claims: advantageClaims,
  },
  {
    name: 'magnitude of ΔW under a scalar',
    fails: ['reference', 'factor-shape', 'linearity'],
    make: (options) => changed(advantage(options), (increment, eligibility) => tf.mul(increment, tf.sign(eligibility))),
    claims: advantageClaims,
  },
  {
    name: 'baseline that starts at 0',
    fails: ['reference', 'baseline'],
    make: (options) => ({ ...advantage(options), init: () => ({ mean: tf.scalar(0), seen: tf.scalar(1) }) }),
    claims: advantageClaims,
  },
  {
    name: 'baseline kept outside the state',
    fails: ['purity', 'resume', 'linearity', 'schedules'],
    make: forgetful,
    claims: {
      ...advantageClaims,
      schedules: { rate: { make: (rate) => forgetful({ rate }), values: [0.9, 0.2] } },
    },
  },
  {
    name: 'state that grows an axis',
    fails: ['state-structure', 'resume'],
    make: (options) => {
      const sound = advantage(options);
      return {
        ...sound,
        modulate(...args: Parameters<typeof sound.modulate>) {
          const { increment, state } = sound.modulate(...args);
          return { increment, state: { ...state, mean: tf.reshape(state.mean, [1]) } };
        },
      };
    },
    claims: advantageClaims,
  },
  {
    name: 'denies its baseline',
    fails: ['baseline'],
    make: advantage,
    claims: { ...advantageClaims, baselined: false },
  },
  {
    name: 'claims a factor per example',
    fails: ['factor-shape', 'example-equals-scalar'],
    make: advantage,
    claims: { ...advantageClaims, factor: 'example' },
  },
  {
    name: 'schedule read once',
    fails: ['schedules'],
    make: advantage,
    claims: {
      ...advantageClaims,
      schedules: { rate: { make: (rate) => advantage({ rate: valueAt(rate, 0) }), values: [0.9, 0.2] } },
    },
  },
  {
    name: 'option left out of the spec',
    fails: ['spec'],
    make: () => ({ ...changed(advantage(), (increment) => tf.mul(increment, 2)), spec: advantage().spec }),
    plugins: { advantage },
    claims: {
      ...advantageClaims,
      reference: {
        ...advantageClaims.reference,
        modulate(context, state) {
          const answer = advantageClaims.reference.modulate(context, state);
          return { ...answer, result: answer.result.map((each) => 2 * each) };
        },
      },
    },
  },
  {
    name: 'factor that depends on the place in the batch',
    fails: ['reference', 'example-equals-scalar'],
    make: (): PerExampleModulator<'reward'> => {
      const sound = relative();
      return {
        ...sound,
        factor(signals, context, state) {
          const answer = sound.factor(signals, context, state);
          return { ...answer, factor: tf.mul(answer.factor, tf.range(0, context.batch)) };
        },
      };
    },
    claims: relativeClaims,
  },
  {
    name: 'one factor for all where each example has its own',
    fails: ['factor-shape'],
    make: (): PerExampleModulator<'reward'> => {
      const sound = relative();
      return {
        ...sound,
        factor(signals, context, state) {
          const answer = sound.factor(signals, context, state);
          return { ...answer, factor: tf.reshape(answer.factor, [-1, 1]) as unknown as tf.Tensor1D };
        },
      };
    },
    claims: relativeClaims,
  },
  { name: 'claims a baseline', fails: ['baseline'], make: relative, claims: { ...relativeClaims, baselined: true } },
  {
    name: 'acts per example, claims one factor per layer',
    fails: ['factor-shape'],
    make: relative,
    claims: { ...relativeClaims, factor: 'layer' },
  },
  {
    name: 'factors in the order of another example',
    fails: ['reference'],
    make: () => withFactor((factor) => tf.reverse(factor, 0)),
    claims: byLabelsClaims,
  },
  {
    name: 'one factor for all units',
    fails: ['reference', 'factor-shape', 'activity-on-gate'],
    make: () => withFactor((factor) => tf.mean(factor, 1, true)),
    claims: byLabelsClaims,
  },
  {
    name: 'undeclared input under a factor per activity',
    fails: ['signals', 'activity-on-gate'],
    make: () =>
      withFactor((factor, signals) => tf.mul(factor, tf.onesLike(tf.sum((signals as unknown as Signals).input)))),
    claims: byLabelsClaims,
  },
  {
    name: 'acts per activity, claims one factor per example',
    fails: ['factor-shape', 'example-equals-scalar'],
    make: byLabels,
    claims: { ...byLabelsClaims, factor: 'example' },
  },
];

/** The baseline in a variable of JavaScript. */
function forgetful(options?: Options): GlobalModulator {
  const sound = advantage(options);
  let held: number[] | undefined;
  return {
    ...sound,
    init: () => ({}),
    modulate(eligibility, signals, context) {
      const state = held === undefined ? initBaseline() : { mean: tf.scalar(held[0] as number), seen: tf.scalar(1) };
      const answer = sound.modulate(eligibility, signals, context, state);
      held = [...answer.state.mean.dataSync()];
      return { ...answer, state: {} };
    },
  } as GlobalModulator;
}

it.each([
  { name: 'direction', make: direction, claims: directionClaims },
  { name: 'advantage', make: advantage, claims: advantageClaims },
  { name: 'relative', make: relative, claims: relativeClaims },
  { name: 'byLabels', make: byLabels, claims: byLabelsClaims },
])('the sound modulator $name passes every case', async ({ make, claims }) => {
  expect(await failing(modulatorCases(make as () => GlobalModulator, claims))).toEqual([]);
});

describe('a mutant of a modulator', () => {
  it.each(mutants)('fails $fails: $name', async ({ fails, make, claims, plugins }) => {
    const own = Object.fromEntries(Object.keys(claims.plugins).map((name) => [name, make]));
    expect(await failing(modulatorCases(make, { ...claims, plugins: plugins ?? own }))).toEqual(fails);
  });

  it('exists for every case', () => {
    const ids = [
      ...modulatorCases(direction, directionClaims),
      ...modulatorCases(advantage, advantageClaims),
      ...modulatorCases(relative, relativeClaims),
      ...modulatorCases(byLabels, byLabelsClaims),
    ].map(({ id }) => id);
    expect(ids.filter((id) => !mutants.some(({ fails }) => fails.includes(id)))).toEqual([]);
  });
});
