import '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';
import { UPPER_PRODUCT } from './backend/kernels.js';
import { type Connection, conv2d, dense, depthwiseConv2d } from './engine/connection.js';
import {
  computeGates,
  computeIncrement,
  fusedOperations,
  initState,
  type LayerStep,
  layerIncrement,
  leaves,
  loadState,
  type PlasticityState,
  saveState,
} from './engine/index.js';
import { fromSpec } from './from-spec.js';
import { constant, type LocalRule, statelessRule } from './local-rule.js';
import { type PerExampleModulator, statelessModulator } from './modulator.js';
import { momentum } from './momentum.js';
import { maxAbs, rms } from './normalize.js';
import { tensor } from './numbers.fixture.js';
import { chain, gradientDescent, local, type Plasticity, sum, threeFactor } from './plasticity.js';
import { specOf } from './spec.js';
import { decayWeights, scaleBy } from './transform.js';

const oja = () =>
  statelessRule(specOf('oja'), ({ post }) => ({ gate: post, reconstruction: post, scope: 'own' as const }));
const competition = () =>
  statelessRule(specOf('competition'), ({ post }) => ({
    gate: tf.softmax(post),
    reconstruction: post,
    scope: 'all' as const,
  }));
/** A rule with state: the gate of step t is multiplied by t + 1. */
const counting = (): LocalRule => ({
  spec: specOf('counting'),
  init: () => ({ count: tf.scalar(1) }),
  gate: ({ post }, { count }) => ({
    gate: tf.mul(post, count) as tf.Tensor2D,
    scope: 'none',
    state: { count: tf.add(count, 1) },
  }),
});
const sign = () =>
  statelessModulator(specOf('sign'), ['gradient'], (delta, { gradient }) =>
    tf.neg(tf.mul(tf.sign(gradient), tf.abs(delta))),
  );
const perExample = (): PerExampleModulator<'reward'> => ({
  spec: specOf('perExample'),
  actsOn: 'example',
  reads: ['reward'],
  init: () => ({ seen: tf.scalar(0) }),
  factor: ({ reward }, _, { seen }) => ({ factor: reward as tf.Tensor1D, state: { seen: tf.add(seen, 1) } }),
});
const plugins = { oja, competition, counting, sign, perExample };

const connections: readonly [name: string, connection: Connection, preShape: number[]][] = [
  ['dense', dense([3, 4]), [5, 3]],
  ['conv2d', conv2d([2, 2, 2, 3], { padding: 1 }), [5, 4, 3, 2]],
  ['depthwise', depthwiseConv2d([2, 2, 2, 2]), [5, 4, 3, 2]],
];

const layerAt = (step: number, connection: Connection, preShape: readonly number[]): LayerStep => {
  const kernel = tensor(2, connection.kernelShape);
  const pre = tensor(20 + step, preShape);
  const signals = { gradient: tensor(40 + step, connection.kernelShape), reward: tensor(60 + step, [5]) };
  return { connection, kernel, calls: [{ pre, post: connection.forward(pre, kernel) }], signals, step };
};

/** The increments of three steps, in numbers. */
function increments(plasticity: Plasticity, connection: Connection = dense([3, 4]), preShape = [5, 3]): number[][] {
  return tf.tidy(() => {
    let state = initState(plasticity, connection.kernelShape, connection.units);
    return [0, 1, 2].map((step) => {
      const result = layerIncrement(plasticity, layerAt(step, connection, preShape), state);
      state = result.state;
      return Array.from(result.increment.dataSync());
    });
  });
}

describe('sum', () => {
  const a = () => chain(threeFactor(maxAbs(competition()), sign()), momentum());
  const b = () => chain(local(counting()), scaleBy(0.1));
  const c = () => threeFactor(maxAbs(oja()), perExample());

  it('of −∂L/∂W and 0.5·ΔW is [−3 − 1, 1 + 1] for ∂L/∂W = [3, −1] and ΔW = [−2, 2]', () => {
    tf.tidy(() => {
      const kernel = tf.tensor2d([[1], [0.5]]);
      const pre = tf.tensor2d([[1, 2]]);
      const connection = dense([2, 1]);
      const signals = { gradient: tf.tensor2d([[3], [-1]]) };
      const calls = [{ pre, post: connection.forward(pre, kernel) }];
      const hybrid = sum(gradientDescent(), chain(local(oja()), scaleBy(0.5)));
      const state = initState(hybrid, [2, 1], connection.units);
      const { increment } = layerIncrement(hybrid, { connection, kernel, calls, signals, step: 0 }, state);
      expect(increment).toBeAllClose([[-4], [2]]);
    });
  });

  it.each<[string, () => Plasticity]>([
    ['gradient descent', gradientDescent],
    ['a product with state', a],
    ['a rule with state', b],
    ['a factor per example', c],
    ['a sum', () => sum(a(), c())],
  ])('of one plasticity is that plasticity, bit for bit: %s', (_, make) => {
    expect(increments(sum(make()))).toEqual(increments(make()));
  });

  it.each(connections)('adds the increments of its parts in any order: %s', (_, connection, preShape) => {
    const [first, second, third] = [a(), b(), c()].map((part) => increments(part, connection, preShape));
    const expected = first!.map((of, step) => of.map((each, i) => each + second![step]![i]! + third![step]![i]!));
    for (const total of [sum(a(), b(), c()), sum(c(), a(), b()), sum(a(), sum(b(), c()))]) {
      expect(increments(total, connection, preShape)).toBeAllClose(expected, { rtol: 1e-5, atol: 1e-5 });
    }
  });

  it('of a part scaled by 0 and another part is the other part', () => {
    expect(increments(sum(chain(a(), scaleBy(0)), b()))).toEqual(increments(b()));
  });

  it('passes its total to the transforms after it', () => {
    const after = increments(chain(sum(a(), b()), scaleBy(3)));
    const within = increments(sum(chain(a(), scaleBy(3)), chain(b(), scaleBy(3))));
    expect(after).toBeAllClose(within, { rtol: 1e-5, atol: 1e-5 });
    const decayed = tf.tidy(() => tensor(2, [3, 4]).dataSync());
    const plain = increments(sum(a(), b()));
    expect(increments(chain(sum(a(), b()), decayWeights(0.5)))).toBeAllClose(
      plain.map((of) => of.map((each, i) => each - 0.5 * decayed[i]!)),
      { atol: 1e-5 },
    );
  });

  it('reads each signal of its parts, once', () => {
    expect(sum(gradientDescent(), a(), c()).reads).toEqual(['gradient', 'reward']);
    expect(sum(local(oja())).reads).toEqual([]);
  });

  it('is rebuilt from its spec, inside and around chains', () => {
    const total = chain(sum(chain(sum(a(), b()), scaleBy(0.5)), c()), momentum({ decay: 0.5 }));
    const rebuilt = fromSpec<Plasticity>(JSON.parse(JSON.stringify(total.spec)), plugins);
    expect(rebuilt.spec).toEqual(total.spec);
    expect(increments(rebuilt)).toEqual(increments(total));
  });

  it('continues from a saved state bit for bit, with a state for each part', async () => {
    const total = () => chain(sum(a(), b(), sum(c())), momentum({ decay: 0.5 }));
    const connection = dense([3, 4]);
    const run = (first: number, count: number, before: PlasticityState) => {
      const results: number[][] = [];
      const state = tf.tidy(() => {
        let next = before;
        for (let step = first; step < first + count; step++) {
          const result = layerIncrement(total(), layerAt(step, connection, [5, 3]), next);
          next = result.state;
          results.push(Array.from(result.increment.dataSync()));
        }
        return next as never;
      }) as PlasticityState;
      return { results, state };
    };
    const initial = () => tf.tidy(() => initState(total(), [3, 4], connection.units) as never) as PlasticityState;
    const start = initial();
    expect(leaves(start).map(([path]) => path)).toEqual([
      'transforms/0/momentum',
      'terms/0/transforms/0/momentum',
      'terms/1/rule/count',
      'terms/2/terms/0/modulator/seen',
    ]);
    const whole = run(0, 4, start);
    const half = run(0, 2, start);
    const bytes = await saveState(half.state);
    const loaded = loadState(bytes, start);
    const rest = run(2, 2, loaded);
    expect([...half.results, ...rest.results]).toEqual(whole.results);
    tf.dispose([start, whole.state, half.state, loaded, rest.state] as never);
  });

  it('gives terms with one rule one gate, which is evaluated and correlated once', () => {
    let evaluations = 0;
    const rule = statelessRule(specOf('observed'), ({ post }) => {
      evaluations++;
      return { gate: post, reconstruction: post, scope: 'own' };
    });
    const parts = [local(rule), threeFactor(maxAbs(rule), sign()), threeFactor(maxAbs(rule), perExample())];
    tf.tidy(() => {
      const layer = layerAt(0, dense([3, 4]), [5, 3]);
      const total = sum(...(parts as [Plasticity, ...Plasticity[]]));
      const gates = computeGates(total, layer, initState(total, [3, 4], layer.connection.units));
      expect(evaluations).toBe(1);
      expect(gates?.cotangents.map((each) => each.length)).toEqual([2]);
      expect(gates?.order).toEqual([0, 0, 0, 1]);
    });
    const apart = parts.map((part) => increments(part));
    const expected = apart[0]!.map((of, step) =>
      of.map((each, i) => each + apart[1]![step]![i]! + apart[2]![step]![i]!),
    );
    expect(increments(sum(...(parts as [Plasticity, ...Plasticity[]])))).toBeAllClose(expected, { atol: 1e-5 });
  });

  it('gives terms with equal rules from two calls, or with state, a gate each', () => {
    const stateful = counting();
    const totals: [Plasticity, number][] = [
      [sum(local(competition()), local(oja())), 2],
      [sum(local(oja()), local(oja())), 2],
      [sum(local(stateful), local(rms(stateful))), 2],
    ];
    tf.tidy(() => {
      for (const [total, count] of totals) {
        const layer = layerAt(0, dense([3, 4]), [5, 3]);
        const gates = computeGates(total, layer, initState(total, [3, 4], layer.connection.units));
        expect(gates?.overlaps.length).toBe(count);
      }
    });
  });

  it('gives rules that share a method, and differ in their options, a gate each', () => {
    // A class of rules: one function, and the options in `this`.
    const gate: LocalRule['gate'] = function (this: LocalRule, { post }, state) {
      return { gate: tf.mul(post, this.spec.args[0] as number) as tf.Tensor2D, scope: 'none', state };
    };
    const scaled = (by: number): LocalRule => ({ spec: specOf('scaled', by), init: () => ({}), gate });
    const [two, three] = [increments(local(scaled(2))), increments(local(scaled(3)))];
    expect(increments(sum(local(scaled(2)), local(scaled(3))))).toBeAllClose(
      two.map((of, step) => of.map((each, i) => each + three[step]![i]!)),
      { rtol: 1e-5, atol: 1e-6 },
    );
  });

  it('gives its parts the units of the layer', () => {
    const connection = depthwiseConv2d([2, 2, 2, 3]);
    const perUnit: LocalRule = { ...oja(), init: ({ fanIn, groups }) => ({ sizes: tf.tensor1d([fanIn, groups]) }) };
    tf.tidy(() => {
      const { terms } = initState(sum(sum(local(perUnit))), connection.kernelShape, connection.units);
      const [[, sizes]] = leaves(terms[0] as PlasticityState) as [[string, tf.Tensor]];
      expect(Array.from(sizes.dataSync())).toEqual([4, 2]);
    });
  });

  it('reconstructs by the scope of each rule', () => {
    const calls: unknown[] = [];
    const earlier = statelessRule(specOf('earlier'), ({ post }) => ({
      gate: post,
      reconstruction: post,
      scope: 'earlier',
    }));
    const total = () => sum(local(competition()), local(earlier));
    const expected = increments(total());
    tf.registerKernel({
      kernelName: UPPER_PRODUCT,
      backendName: 'cpu',
      kernelFunc({ inputs, attrs }) {
        const { a, b } = inputs as unknown as { a: tf.Tensor2D; b: tf.Tensor2D };
        const { transposeA, upper } = attrs as unknown as { transposeA: boolean; upper: string };
        calls.push(upper);
        const product = tf.matMul(a, b, transposeA);
        return upper === 'result' ? tf.linalg.bandPart(product, 0, -1) : product;
      },
    });
    try {
      expect(increments(total())).toBeAllClose(expected, { atol: 1e-5 });
    } finally {
      tf.unregisterKernel(UPPER_PRODUCT, 'cpu');
    }
    expect(calls).toEqual(['result', 'right', 'result', 'right', 'result', 'right']);
  });

  it('needs no activity without an active rule', () => {
    tf.tidy(() => {
      const total = sum(gradientDescent(), threeFactor(constant(), sign()));
      const layer = layerAt(0, dense([3, 4]), [5, 3]);
      const state = initState(total, [3, 4], layer.connection.units);
      expect(computeGates(total, layer, state)).toBeNull();
      const gradient = layer.signals.gradient as tf.Tensor;
      const { increment } = layerIncrement(total, layer, state);
      expect(increment).toBeAllClose(tf.neg(tf.add(gradient, tf.sign(gradient))), { atol: 1e-6 });
    });
  });

  it('of gradient descents moves a weight without a connection', () => {
    tf.tidy(() => {
      const total = sum(gradientDescent(), chain(gradientDescent(), scaleBy(2)));
      const [weights, gradient] = [tensor(1, [4]), tensor(2, [4])];
      const input = { weights, signals: { gradient }, batch: 1, step: 0 };
      const { increment } = computeIncrement(total, input, initState(total, [4]));
      expect(increment).toBeAllClose(tf.mul(gradient, -3), { atol: 1e-6 });
    });
  });

  it('is not one operation of a fused step', () => {
    expect(fusedOperations(sum(gradientDescent()), 0)).toBeNull();
  });

  it.each<[string, readonly unknown[], string]>([
    ['nothing', [], 'sum has no part'],
    ['a transform', [gradientDescent(), scaleBy(1)], 'Part 2 of sum is scaleBy(…)'],
    ['a rule', [oja()], 'Part 1 of sum is oja(…)'],
    ['a factory', [gradientDescent], 'the function gradientDescent'],
  ])('rejects %s', (_, parts, message) => {
    const attempt = () => (sum as (...parts: readonly unknown[]) => Plasticity)(...parts);
    expect(attempt).toThrow(expect.objectContaining({ code: 'BAD_VALUE' }));
    expect(attempt).toThrow(message);
  });
});
