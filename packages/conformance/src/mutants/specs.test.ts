/** Products with an incomplete spec: each fails the cases in `fails`. */
import '@tensorflow/tfjs-backend-cpu';
import {
  chain,
  constant,
  cosine,
  decayWeights,
  fromSpec,
  gradientDescent,
  type Hyperparameter,
  type LocalRule,
  local,
  maxAbs,
  rms,
  type Schedule,
  type Spec,
  type Specified,
  scaleBy,
  type Transform,
} from '@ghl/core';
import { ruleName, specOf, valueAt, type Wrapper, wrap } from '@ghl/core/plugin';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { failures, specCases } from '../index.js';

beforeAll(async () => {
  await tf.setBackend('cpu');
});

/** Hebb's rule, times a rate. */
const hebb = (rate: Hyperparameter = 1): LocalRule => ({
  spec: specOf('hebb', rate),
  init: () => ({}),
  gate: ({ post, step }, state) => ({ gate: tf.mul(post, valueAt(rate, step)) as tf.Tensor2D, scope: 'none', state }),
});

/** An eligibility trace: a running mean of ΔW. */
function tracing(decay: number, spec: Spec): Wrapper<{ readonly trace: tf.Tensor }> {
  return {
    spec,
    linear: false,
    init: (shape) => ({ trace: tf.zeros([...shape]) }),
    wrap(eligibility, _, { trace }) {
      const next = tf.add(tf.mul(trace, decay), tf.mul(eligibility, 1 - decay));
      return { apply: () => next, state: { trace: next } };
    },
  };
}

type Trace = (rule: LocalRule, decay?: number, options?: object) => LocalRule;

/** The ways to give the arguments of a wrapper to its spec. */
const traces: readonly [string, Trace][] = [
  ['to wrap()', (rule, decay = 0.9) => wrap(rule, 'trace', tracing(decay, specOf('trace')), decay)],
  ['in the spec of the wrapper', (rule, decay = 0.9) => wrap(rule, 'trace', tracing(decay, specOf('trace', decay)))],
  [
    'in its spec, after the rule',
    (rule, decay = 0.9) => wrap(rule, 'trace', tracing(decay, specOf('trace', rule, decay))),
  ],
  ['in both', (rule, decay = 0.9) => wrap(rule, 'trace', tracing(decay, specOf('trace', decay)), decay)],
];

const failing = async (products: Readonly<Record<string, () => Specified>>, plugins = {}) =>
  (await failures(specCases(products, { hebb, ...plugins }))).map(({ id }) => id);

describe.each(traces)('a wrapper whose arguments are given %s', (_, trace) => {
  it('is rebuilt with its arguments', async () => {
    const products = {
      default: () => trace(hebb()),
      half: () => trace(hebb(), 0.5),
      'of another rate': () => trace(hebb(2), 0.5),
      twice: () => trace(trace(hebb(), 0.5), 0.25),
      'in another': () => maxAbs(trace(rms(hebb()), 0.5)),
      'in a chain': () => chain(local(trace(hebb(), 0.5)), scaleBy(0.1)),
    };
    expect(await failing(products, { trace })).toEqual([]);
    expect(trace(hebb(), 0.5).spec).toEqual({ name: 'trace', args: [{ name: 'hebb', args: [1] }, 0.5] });
    expect(ruleName(trace(trace(hebb(), 0.5), 0.25))).toBe('hebb');
  });
});

it('rebuilds a wrapper with options and schedules', async () => {
  const fade = (rule: LocalRule, options: { decay?: number; by?: Hyperparameter } = {}) => {
    const { decay = 0.9, by = 1 } = options;
    const { init, wrap: tracingWrap } = tracing(decay, specOf('fade'));
    return wrap(
      rule,
      'fade',
      {
        spec: specOf('fade'),
        linear: false,
        init,
        wrap: (eligibility, context, state) =>
          tracingWrap(tf.mul(eligibility, valueAt(by, context.step)), context, state),
      },
      options,
    );
  };
  const products = {
    default: () => fade(hebb()),
    decay: () => fade(hebb(), { decay: 0.5 }),
    by: () => fade(hebb(), { by: 3 }),
    'by a schedule': () => fade(hebb(), { decay: 0.5, by: cosine(1, 4) }),
  };
  expect(await failing(products, { fade })).toEqual([]);
});

describe('every factory of the core', () => {
  it('is rebuilt from its spec', async () => {
    const products: Record<string, () => Specified> = {
      gradientDescent,
      constant,
      'local(constant())': () => local(constant()),
      'maxAbs(rule)': () => maxAbs(hebb(2)),
      'rms(rule)': () => rms(hebb(2)),
      'maxAbs(rms(rule))': () => maxAbs(rms(hebb(2))),
      'scaleBy(number)': () => scaleBy(0.5),
      'scaleBy(schedule)': () => scaleBy(cosine(0.5, 3)),
      'decayWeights(number)': () => decayWeights(0.5),
      'decayWeights(schedule)': () => decayWeights(cosine(0.5, 3)),
      'cosine(peak)': () => cosine(0.5, 3) as unknown as Specified,
      'cosine(steps)': () => cosine(0.5, 200) as unknown as Specified,
      'a chain': () => chain(local(hebb(cosine(2, 5))), decayWeights(0.1), scaleBy(0.5)),
      'a chain in another order': () => chain(local(hebb(cosine(2, 5))), scaleBy(0.5), decayWeights(0.1)),
      'a chain of a chain': () => chain(chain(gradientDescent(), scaleBy(2)), scaleBy(3)),
    };
    expect(await failing(products)).toEqual([]);
  });
});

describe('an incomplete spec', () => {
  const forgetful: Trace = (rule, decay = 0.9) => wrap(rule, 'trace', tracing(decay, specOf('trace')));
  const momentum = (factor = 0.9): Transform => ({
    spec: specOf('momentum'),
    init: (shape) => ({ sum: tf.zeros([...shape]) }),
    update(increment, _, { sum }) {
      const next = tf.add(tf.mul(sum, factor), increment);
      return { increment: next, state: { sum: next } };
    },
  });
  const linear = (from = 1): Schedule => Object.assign((t: number) => from / (1 + t), { spec: specOf('linear') });

  const bare = (rate?: number) => ({ ...hebb(rate), spec: specOf('hebb') });

  it.each<[string, (value?: number) => Specified, object]>([
    ['of a wrapper', (decay) => forgetful(hebb(), decay), { trace: forgetful }],
    ['of a transform', momentum, { momentum }],
    ['of a schedule', linear as never, { linear }],
    ['of a rule', bare, { hebb: bare }],
  ])('fails both cases, %s', async (_, make, plugins) => {
    expect(await failing({ default: () => make(), other: () => make(0.25) }, plugins)).toEqual(['rebuilt', 'distinct']);
    // A product with only default values does not show the fault.
    expect(await failing({ default: () => make() }, plugins)).toEqual([]);
  });

  it('fails with the name of another factory', async () => {
    const named = () => ({ ...hebb(), spec: specOf('hebbs') });
    expect(await failing({ named }, { hebbs: () => hebb() })).toEqual(['rebuilt']);
  });
});

it('rebuilds a wrapper without arguments by fromSpec', () => {
  const plain: Trace = (rule) => wrap(rule, 'plain', tracing(0.9, specOf('plain')));
  const { spec } = plain(hebb());
  expect(spec).toEqual({ name: 'plain', args: [{ name: 'hebb', args: [1] }] });
  expect(fromSpec<LocalRule>(spec, { hebb, plain }).spec).toEqual(spec);
});
