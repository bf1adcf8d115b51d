/** A third factor per activity: G becomes m⊙G, and M follows. */
import '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';
import { constant, type LocalRule, presynaptic, type Scope, statelessRule, wrap } from '../local-rule.js';
import type { ActivityContext, PerActivityModulator, PerExampleModulator } from '../modulator.js';
import { maxAbs, rms } from '../normalize.js';
import { tensor } from '../numbers.fixture.js';
import { local, type Plasticity, threeFactor } from '../plasticity.js';
import { specOf } from '../spec.js';
import { type Connection, conv1d, conv2d, dense, depthwiseConv2d } from './connection.js';
import { computeGates, initState, type LayerStep, type LayerUse, layerIncrement } from './index.js';

const rule = (scope: Scope): LocalRule =>
  statelessRule(specOf('rule', scope), ({ post }) => ({ gate: tf.softmax(post), reconstruction: post, scope }));

/** m is a function of y and the sizes of the batch. */
const perActivity = (factor: (context: ActivityContext) => tf.Tensor): PerActivityModulator<never> => ({
  spec: specOf('perActivity'),
  actsOn: 'activity',
  reads: [],
  init: () => ({}),
  factor: (_, context, state) => ({ factor: factor(context) as tf.Tensor2D, state }),
});
const sine = perActivity(({ post }) => tf.sin(tf.mul(post, 3)));

const layerOf = (connection: Connection, preShapes: readonly number[][], signals = {}): LayerStep => {
  const kernel = tensor(2, connection.kernelShape);
  const calls = preShapes.map((shape, i) => {
    const pre = tensor(20 + i, shape);
    return { pre, post: connection.forward(pre, kernel) };
  });
  return { connection, kernel, calls, signals, step: 0 };
};
const run = (plasticity: Plasticity, layer: LayerStep) =>
  layerIncrement(plasticity, layer, initState(plasticity, layer.connection.kernelShape, layer.connection.units));

const geometries: readonly { name: string; connection: Connection; shape: number[] }[] = [
  { name: 'dense', connection: dense([3, 4]), shape: [3, 3] },
  { name: 'dense over time', connection: dense([3, 4]), shape: [3, 2, 3] },
  { name: 'conv1d', connection: conv1d([2, 3, 4], { padding: 'same' }), shape: [3, 5, 3] },
  { name: 'conv2d', connection: conv2d([2, 2, 2, 3], { padding: 1, strides: 2 }), shape: [3, 4, 4, 2] },
  { name: 'depthwise', connection: depthwiseConv2d([2, 2, 2, 2]), shape: [3, 4, 4, 2] },
];

it.each(geometries)('on a gate of 1 is the whole post-synaptic term: $name', ({ connection, shape }) => {
  tf.tidy(() => {
    const layer = layerOf(connection, [shape, shape]);
    const expected = layer.calls.map(
      ({ pre, post }) => connection.correlate(pre, [tf.sin(tf.mul(post, 3))])[0] as tf.Tensor,
    );
    expect(run(threeFactor(presynaptic(), sine), layer).increment).toBeAllClose(tf.addN(expected), { atol: 1e-5 });
  });
});

describe('a factor per activity', () => {
  it('moves w by m·y·x: for x = [1, 2], w = [1, 0.5], y = 2 and m = −3, by [−6, −12]', () => {
    tf.tidy(() => {
      const connection = dense([2, 1]);
      const [pre, kernel] = [tf.tensor2d([[1, 2]]), tf.tensor2d([[1], [0.5]])];
      const calls = [{ pre, post: connection.forward(pre, kernel) }];
      const hebb = statelessRule(specOf('hebb'), ({ post }) => ({ gate: post, scope: 'none' }));
      const plasticity = threeFactor(
        hebb,
        perActivity(({ post }) => tf.mul(post, -1.5)),
      );
      expect(run(plasticity, { connection, kernel, calls, signals: {}, step: 0 }).increment).toBeAllClose([
        [-6],
        [-12],
      ]);
    });
  });

  it.each(
    geometries.flatMap((geometry) =>
      (['none', 'own', 'earlier', 'all'] as const).map((scope) => ({ ...geometry, scope })),
    ),
  )('multiplies G, and M follows: $name, scope $scope', ({ connection, shape, scope }) => {
    tf.tidy(() => {
      // Two calls of different sizes in one place each, and one call.
      for (const shapes of [[shape], [shape, shape]]) {
        const layer = layerOf(connection, shapes);
        const modulated: LocalRule = {
          ...rule(scope),
          gate(context, state) {
            const result = rule(scope).gate(context, state);
            return { ...result, gate: tf.mul(result.gate, tf.sin(tf.mul(context.post, 3))) as tf.Tensor2D };
          },
        };
        const expected = run(local(modulated), layer).increment;
        expect(run(threeFactor(rule(scope), sine), layer).increment).toBeAllClose(expected, { atol: 1e-5 });
      }
    });
  });

  it.each(geometries)(
    'equal for all activities of an example is a factor per example: $name',
    ({ connection, shape }) => {
      tf.tidy(() => {
        const factors = tf.tensor1d([0.5, -2, 3]);
        const perExample: PerExampleModulator<never> = {
          spec: specOf('perExample'),
          actsOn: 'example',
          reads: [],
          init: () => ({}),
          factor: (_, __, state) => ({ factor: factors, state }),
        };
        const spread = perActivity(({ post, batch }) =>
          tf.reshape(tf.mul(tf.reshape(tf.onesLike(post), [batch, -1]), tf.expandDims(factors, 1)), post.shape),
        );
        // Also for a layer with two places in the model.
        for (const shapes of [[shape], [shape, shape]]) {
          const layer = layerOf(connection, shapes);
          for (const each of [rule('own'), maxAbs(rule('own'))]) {
            expect(run(threeFactor(each, spread), layer).increment).toBeAllClose(
              run(threeFactor(each, perExample), layer).increment,
              { atol: 1e-5 },
            );
          }
        }
      });
    },
  );

  it('has one row of activities per example, in the order of the batch, however the layer was called', () => {
    tf.tidy(() => {
      const connection = conv2d([2, 2, 2, 3]);
      const whole = layerOf(connection, [
        [4, 3, 3, 2],
        [4, 4, 3, 2],
      ]);
      const input = tensor(1, [4, 6]);
      const rows: number[][] = [];
      const modulator: PerActivityModulator<'input'> = {
        spec: specOf('rows'),
        actsOn: 'activity',
        reads: ['input'],
        init: () => ({}),
        factor(signals, { post, batch }, state) {
          expect(batch).toBe(4);
          const ofExamples = tf.reshape(post, [batch, -1]);
          rows.push(Array.from(ofExamples.dataSync()));
          const factor = tf.mul(ofExamples, tf.sum(signals.input, 1, true));
          return { factor: tf.reshape(factor, post.shape) as tf.Tensor2D, state };
        },
      };
      const plasticity = threeFactor(rule('own'), modulator);
      const expected = run(plasticity, { ...whole, signals: { input } }).increment;
      const [first, second] = whole.calls as [LayerUse, LayerUse];
      const halves = ({ pre, post }: LayerUse) => {
        const [pres, posts] = [tf.split(pre, [1, 3]), tf.split(post, [1, 3])];
        return pres.map((part, i) => ({ pre: part, post: posts[i] as tf.Tensor }));
      };
      const [[a, b], [c, d]] = [halves(first), halves(second)] as [[LayerUse, LayerUse], [LayerUse, LayerUse]];
      for (const calls of [
        [a, b, c, d],
        [a, c, b, d],
      ]) {
        const { increment } = run(plasticity, { ...whole, calls, signals: { input } });
        expect(increment).toBeAllClose(expected, { atol: 1e-5 });
      }
      const expectedRows = tf.concat(
        [first, second].map(({ post }) => tf.reshape(post, [4, -1])),
        1,
      );
      for (const each of rows) expect(each).toBeAllClose(Array.from(expectedRows.dataSync()));
    });
  });

  it('acts outside maxAbs, whose divisor is that of the unmodulated ΔW', () => {
    tf.tidy(() => {
      const layer = layerOf(dense([3, 4]), [[3, 3]]);
      const plain = run(local(rule('own')), layer).increment;
      const raw = run(threeFactor(rule('own'), sine), layer).increment;
      const actual = run(threeFactor(maxAbs(rule('own')), sine), layer).increment;
      expect(actual).toBeAllClose(tf.div(raw, tf.max(tf.abs(plain))), { atol: 1e-6 });
    });
  });

  it('correlates m⊙G alone if no wrapper measures ΔW', () => {
    tf.tidy(() => {
      const layer = layerOf(dense([3, 4]), [[3, 3]]);
      const count = (plasticity: Plasticity) =>
        computeGates(plasticity, layer, initState(plasticity, [3, 4], layer.connection.units))?.cotangents[0]?.length;
      expect(count(threeFactor(rule('own'), sine))).toBe(1);
      expect(count(threeFactor(maxAbs(rule('own')), sine))).toBe(2);
    });
  });

  it('keeps state from step to step', () => {
    tf.tidy(() => {
      const counting: PerActivityModulator<never> = {
        ...sine,
        init: () => ({ count: tf.scalar(1) }),
        factor: (_, { post }, { count }) => ({
          factor: tf.mul(tf.onesLike(post), count) as tf.Tensor2D,
          state: { count: tf.add(count, 1) },
        }),
      };
      const plasticity = threeFactor(rule('own'), counting);
      const layer = layerOf(dense([3, 4]), [[3, 3]]);
      const first = run(plasticity, layer);
      const second = layerIncrement(plasticity, layer, first.state);
      expect(second.increment).toBeAllClose(tf.mul(first.increment, 2), { atol: 1e-5 });
    });
  });

  it('is rejected in another shape, and with signals of another batch', () => {
    tf.tidy(() => {
      const summing = threeFactor(
        rule('own'),
        perActivity(({ post }) => tf.sum(post, 0, true)),
      );
      const attempt = () => run(summing, layerOf(dense([3, 4]), [[3, 3]]));
      expect(attempt).toThrow(expect.objectContaining({ code: 'WRONG_SHAPE' }));
      expect(attempt).toThrow('The factor has the shape [1,4], not [3,4]');
      const reading = threeFactor(rule('own'), { ...sine, reads: ['target'] } as PerActivityModulator<'target'>);
      const wrong = () => run(reading, layerOf(dense([3, 4]), [[3, 3]], { target: tensor(1, [2, 4]) }));
      expect(wrong).toThrow(expect.objectContaining({ code: 'EXAMPLE_COUNT' }));
      expect(wrong).toThrow('2 examples for a layer called with 3 examples');
    });
  });

  it.each<[name: string, rule: LocalRule]>([
    ['rms', rms(rule('own'))],
    ['constant', constant()],
    [
      'trace',
      wrap(rule('own'), 'trace', {
        spec: specOf('trace'),
        linear: false,
        init: () => ({}),
        wrap: (_, __, state) => ({ apply: (same) => same, state }),
      }),
    ],
  ])('is rejected with %s', (name, refused) => {
    const attempt = () => threeFactor(refused, sine);
    expect(attempt).toThrow(expect.objectContaining({ code: 'PER_EXAMPLE_REFUSED' }));
    expect(attempt).toThrow(`perActivity has one factor per activity, but ${name}`);
  });
});
