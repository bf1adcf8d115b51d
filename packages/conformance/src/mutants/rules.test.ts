/** Rules with deliberate faults: each fails the cases in `fails`, and passes all others. */
import '@tensorflow/tfjs-backend-cpu';
import type { Hyperparameter, LocalRule } from '@ghl/core';
import { checkHyperparameter, checkNotEmpty, type LocalContext, specOf, valueAt } from '@ghl/core/plugin';
import * as tf from '@tensorflow/tfjs-core';
import { afterEach, describe, expect, it } from 'vitest';
import {
  type ConformanceCase,
  failures,
  type LocalRuleClaims,
  type LocalRuleReference,
  localRuleCases,
} from '../index.js';

interface Options {
  readonly temperature?: Hyperparameter;
}

type State = { readonly activity: tf.Tensor };
type Said = ReturnType<LocalRule<State>['gate']>;

/**
 * The rule from which the mutants are made: competition between units above their own mean activity of earlier batches,
 * u = softmax_k((y − a)/τ), Δw_k = Σₚ u_pk (xₚ − y_pk w_k), then a ← ¾a + ¼·meanₚ y. It has state,
 * a schedule, a gate and a reconstruction.
 */
function rule({ temperature = 1 }: Options = {}): LocalRule<State> {
  return {
    spec: specOf('rule', { temperature }),
    init: ({ fanOut }) => ({ activity: tf.zeros([fanOut]) }),
    gate({ post: y, step }, { activity }): Said {
      checkNotEmpty('rule', { post: y });
      const above = tf.sub(y, activity);
      return {
        gate: tf.softmax(tf.div(above, valueAt(temperature, step))) as tf.Tensor2D,
        reconstruction: y,
        scope: 'own',
        state: { activity: tf.add(tf.mul(activity, 0.75), tf.mul(tf.mean(y, 0), 0.25)) },
      };
    },
  };
}

const reference: LocalRuleReference = {
  init: ({ fanOut }) => ({ activity: Array<number>(fanOut).fill(0) }),
  gate({ post }, state) {
    const { activity } = state as { activity: number[] };
    const gate = post.map((y) => {
      const powers = y.map((each, k) => Math.exp(each - (activity[k] as number)));
      const sum = powers.reduce((total, each) => total + each, 0);
      return powers.map((each) => each / sum);
    });
    const mean = activity.map((_, k) => post.reduce((sum, y) => sum + (y[k] as number), 0) / post.length);
    const next = activity.map((each, k) => 0.75 * each + 0.25 * (mean[k] as number));
    return { gate, reconstruction: post, scope: 'own', state: { activity: next } };
  },
};

const claims: LocalRuleClaims = {
  reference,
  reduction: 'sum',
  equivariant: true,
  plugins: { rule },
  schedules: { temperature: { make: (temperature) => rule({ temperature }), values: [1, 0.25] } },
};

/** The rule with a changed result. */
function changed(
  change: (answer: Said, context: LocalContext, state: State) => Partial<Said>,
  make: (options?: Options) => LocalRule<State> = rule,
) {
  return (options?: Options): LocalRule<State> => {
    const sound = make(options);
    return {
      ...sound,
      gate(context, state) {
        const answer = sound.gate(context, state);
        return { ...answer, ...change(answer, context, state) };
      },
    };
  };
}

/** The rule with its gate multiplied by a factor. */
const scaled = (factor: (context: LocalContext) => tf.Tensor | number) =>
  changed(({ gate }, context) => ({ gate: tf.mul(gate, factor(context)) as tf.Tensor2D }));

/** A reference with its gate changed. */
const referenceWith = (change: (gate: readonly number[], y: readonly number[]) => number[]): LocalRuleReference => ({
  ...reference,
  gate(context, state) {
    const answer = reference.gate(context, state);
    return { ...answer, gate: answer.gate.map((gate, p) => change(gate, context.post[p] as number[])) };
  },
});

const failing = async (cases: ConformanceCase[]) => (await failures(cases)).map(({ id }) => id);

const leaks: tf.Tensor[] = [];
afterEach(() => tf.dispose(leaks.splice(0)));

interface Mutant {
  readonly name: string;
  readonly fails: readonly string[];
  readonly make?: (options?: Options) => LocalRule;
  readonly claims?: Partial<LocalRuleClaims>;
}

const mutants: Mutant[] = [
  { name: 'flipped sign', fails: ['reference'], make: changed(({ gate }) => ({ gate: tf.neg(gate) })) },
  { name: 'decay forgotten', fails: ['reference'], make: changed(() => ({ scope: 'none' })) },
  { name: 'reconstruction forgotten', fails: ['reference'], make: changed(() => ({ reconstruction: 1 })) },
  { name: 'reconstruction of all units', fails: ['reference'], make: changed(() => ({ scope: 'all' })) },
  {
    name: 'threshold that never slides',
    fails: ['reference'],
    make: changed((_, __, state) => ({ state })),
  },
  {
    name: 'divided by the batch size',
    fails: ['reference', 'batch-additivity'],
    make: scaled(({ post }) => 1 / post.shape[0]),
  },
  { name: 'sum that claims to be a mean', fails: ['batch-additivity'], claims: { reduction: 'mean' } },
  { name: 'sum that claims to be neither', fails: ['batch-additivity'], claims: { reduction: 'none' } },
  { name: 'equivariant rule that denies it', fails: ['equivariance'], claims: { equivariant: false } },
  {
    name: 'ordered rule that claims equivariance',
    fails: ['equivariance'],
    make: changed(() => ({ scope: 'earlier' })),
    claims: {
      reference: { ...reference, gate: (...args) => ({ ...reference.gate(...args), scope: 'earlier' }) },
    },
  },
  {
    name: 'first unit favoured',
    fails: ['reference', 'equivariance'],
    make: scaled(({ units }) => tf.concat([tf.fill([1], 2), tf.ones([units.fanOut - 1])])),
  },
  {
    name: 'input centred example by example, as an image',
    fails: ['reference', 'dense-on-patches'],
    make: scaled(({ weights, forward }) =>
      forward(tf.onesLike(weights), (pre) =>
        tf.sub(pre, tf.mean(pre, pre.shape.map((_, axis) => axis).slice(1), true)),
      ),
    ),
  },
  {
    name: 'input centred call by call',
    fails: ['reference', 'dense-on-patches', 'calls', 'batch-additivity'],
    make: scaled(({ weights, forward }) => forward(tf.onesLike(weights), (pre) => tf.sub(pre, tf.mean(pre)))),
  },
  {
    name: 'state mutated in place',
    fails: ['purity'],
    make: changed((answer, _, { activity }) => {
      // On the CPU backend, dataSync() returns the memory of the tensor.
      activity.dataSync().set(answer.state.activity.dataSync());
      return {};
    }),
  },
  {
    name: 'private clock',
    fails: ['reference', 'purity', 'resume', 'schedules'],
    make: (options) => {
      let steps = 0;
      return scaled(() => 1 / ++steps)(options);
    },
    claims: {
      schedules: {
        temperature: {
          make: (temperature) => {
            let steps = 0;
            return scaled(() => 1 / ++steps)({ temperature });
          },
          values: [1, 0.25],
        },
      },
    },
  },
  {
    name: 'warm-up counted from its first step, not from the first step',
    fails: ['resume'],
    make: (options) => {
      let start: number | undefined;
      return scaled(({ step }) => {
        start ??= step;
        return step - start < 2 ? 1 : 0.5;
      })(options);
    },
    claims: {
      reference: {
        ...reference,
        gate(context, state) {
          const answer = reference.gate(context, state);
          return { ...answer, gate: answer.gate.map((row) => row.map((each) => each * (context.step < 2 ? 1 : 0.5))) };
        },
      },
    },
  },
  {
    name: 'tensor kept',
    fails: ['leaks'],
    make: changed(({ gate }) => {
      leaks.push(tf.keep(tf.clone(gate)));
      return {};
    }),
  },
  {
    name: 'schedule read once',
    fails: ['schedules'],
    claims: {
      schedules: {
        temperature: { make: (temperature) => rule({ temperature: valueAt(temperature, 0) }), values: [1, 0.25] },
      },
    },
  },
  {
    name: 'hyperparameter ignored',
    fails: ['schedules'],
    claims: { schedules: { temperature: { make: () => rule(), values: [1, 0.25] } } },
  },
  {
    name: 'schedule read without valueAt()',
    fails: ['schedules'],
    claims: {
      schedules: {
        temperature: {
          make: (temperature) =>
            scaled(({ step }) => 1 / (typeof temperature === 'number' ? temperature : temperature(step)))(),
          values: [1, 0.25],
        },
      },
    },
  },
  {
    name: 'range that does not hold for numbers',
    fails: ['schedules'],
    claims: {
      schedules: { temperature: { make: (temperature) => rule({ temperature }), values: [1, 0.25], outside: [-1] } },
    },
  },
  {
    name: 'range that does not hold for schedules',
    fails: ['schedules'],
    claims: {
      schedules: {
        temperature: {
          make: (temperature) => {
            checkHyperparameter('temperature', temperature, { above: 0 });
            return rule({ temperature });
          },
          values: [1, 0.25],
          outside: [-1],
        },
      },
    },
  },
  {
    name: 'NaN on zero',
    fails: ['finite'],
    make: scaled(({ post }) => tf.div(1, tf.sum(tf.abs(post), 1, true))),
    claims: {
      reference: referenceWith((gate, y) => {
        const sum = y.reduce((total, each) => total + Math.abs(each), 0);
        return gate.map((each) => each / sum);
      }),
    },
  },
  {
    name: 'overflow on huge activity',
    fails: ['finite'],
    make: changed(({ gate }, { post }) => {
      const power = tf.exp(post);
      return { gate: tf.mul(gate, tf.div(power, tf.add(power, 1))) as tf.Tensor2D };
    }),
    claims: { reference: referenceWith((gate, y) => gate.map((each, k) => each / (1 + Math.exp(-(y[k] as number))))) },
  },
  {
    name: 'mean over no positions',
    fails: ['empty'],
    make: (options) => ({
      ...rule(options),
      gate: (context, state: State) =>
        context.post.shape[0] > 0
          ? rule(options).gate(context, state)
          : { gate: context.post, scope: 'none', state: { activity: tf.mean(context.post, 0) } },
    }),
  },
  {
    name: 'no positions, no code',
    fails: ['empty'],
    make: (options) => ({
      ...rule(options),
      gate(context, state: State) {
        if (context.post.shape[0] === 0) throw new Error('empty');
        return rule(options).gate(context, state);
      },
    }),
  },
  {
    name: 'option left out of the spec',
    fails: ['spec'],
    make: () => ({ ...changed(({ gate }) => ({ gate: tf.square(gate) }))(), spec: specOf('rule', { temperature: 1 }) }),
    claims: { plugins: { rule }, reference: referenceWith((gate) => gate.map((each) => each ** 2)) },
  },
  {
    name: 'spec with another name',
    fails: ['spec'],
    make: () => ({ ...rule(), spec: specOf('rules', {}) }),
  },
  {
    name: 'state that grows an axis',
    fails: ['state-structure', 'resume'],
    make: changed(({ state }) => ({ state: { activity: tf.reshape(state.activity, [1, -1]) } })),
  },
  {
    name: 'noise without a seed',
    fails: [
      'reference',
      'dense-on-patches',
      'calls',
      'batch-additivity',
      'equivariance',
      'purity',
      'resume',
      'spec',
      'schedules',
    ],
    make: scaled(() => 1 + Math.random()),
    claims: {
      schedules: {
        temperature: {
          make: (temperature) => scaled(() => 1 + Math.random())({ temperature }),
          values: [1, 0.25],
        },
      },
    },
  },
];

it('passes every case with a correct rule', async () => {
  expect(await failing(localRuleCases(rule, claims))).toEqual([]);
});

describe('a mutant of a rule', () => {
  it.each(mutants)('fails $fails: $name', async ({ fails, make = rule, claims: own }) => {
    expect(await failing(localRuleCases(make, { ...claims, plugins: { rule: make }, ...own }))).toEqual(fails);
  });

  it('exists for every case', () => {
    const ids = localRuleCases(rule, claims).map(({ id }) => id);
    expect(ids.filter((id) => !mutants.some(({ fails }) => fails.includes(id)))).toEqual([]);
  });
});
