/** The engine against the formula, sample by sample: Δw_k = Σₚ g_pk (xₚ − Σ_{j ∈ S(k)} r_pj w_j). */
import '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';
import { MAX_OPERATIONS } from '../backend/kernels.js';
import { constant, type LocalContext, type LocalRule, type Scope, wrap } from '../local-rule.js';
import type { PerExampleModulator, WeightModulator } from '../modulator.js';
import { maxAbs, rms } from '../normalize.js';
import { numbers, tensor } from '../numbers.fixture.js';
import { chain, gradientDescent, local, type Plasticity, threeFactor } from '../plasticity.js';
import { specOf } from '../spec.js';
import { scaleBy, type Transform } from '../transform.js';
import { type Connection, conv1d, conv2d, dense, depthwiseConv2d } from './connection.js';
import {
  type AvailableSignals,
  computeGates,
  examplesOf,
  fusedOperations,
  initState,
  type LayerStep,
  type LayerUse,
  layerIncrement,
} from './index.js';

const row = (values: ArrayLike<number>, p: number, size: number) =>
  Array.from({ length: size }, (_, i) => values[p * size + i] as number);

/** A gate that does not depend on y, so that nothing cancels by accident. */
const arbitrary = (scope: Scope, reconstruction?: 'post' | 'other' | 1): LocalRule<Record<string, never>> => ({
  spec: specOf('arbitrary', scope),
  init: () => ({}),
  gate({ post }, state) {
    const gate = tensor(11, post.shape) as tf.Tensor2D;
    if (reconstruction === undefined) return { gate, scope, state };
    const r = reconstruction === 'other' ? (tensor(12, post.shape) as tf.Tensor2D) : reconstruction === 1 ? 1 : post;
    return { gate, reconstruction: r, scope, state };
  },
});

const step = (connection: Connection, preShapes: readonly number[][], signals: AvailableSignals = {}): LayerStep => {
  const kernel = tensor(2, connection.kernelShape);
  const calls = preShapes.map((shape, i) => {
    const pre = tensor(20 + i, shape);
    return { pre, post: connection.forward(pre, kernel) };
  });
  return { connection, kernel, calls, signals, step: 0 };
};

const run = (plasticity: Plasticity, layer: LayerStep) =>
  layerIncrement(plasticity, layer, initState(plasticity, layer.connection.kernelShape, layer.connection.units));

describe('ΔW of a dense layer', () => {
  const [P, D, K] = [5, 3, 4];
  const connection = dense([D, K]);
  const [x, w] = [numbers(20, [P, D]), numbers(2, [D, K])];
  const [g, other] = [numbers(11, [P, K]), numbers(12, [P, K])];

  const subtracts: Record<Scope, (k: number, j: number) => boolean> = {
    none: () => false,
    own: (k, j) => j === k,
    earlier: (k, j) => j <= k,
    all: () => true,
  };

  it.each(
    (['none', 'own', 'earlier', 'all'] as const).flatMap((scope) =>
      ([undefined, 1, 'other'] as const).map((reconstruction) => ({ scope, reconstruction })),
    ),
  )('is the sum over samples, for scope $scope and reconstruction $reconstruction', ({ scope, reconstruction }) => {
    const expected = Array.from({ length: D }, (_, d) =>
      Array.from({ length: K }, (_, k) => {
        let sum = 0;
        for (let p = 0; p < P; p++) {
          let remainder = x[p * D + d] as number;
          for (let j = 0; j < K; j++) {
            const r = reconstruction === 'other' ? (other[p * K + j] as number) : 1;
            if (subtracts[scope](k, j)) remainder -= r * (w[d * K + j] as number);
          }
          sum += (g[p * K + k] as number) * remainder;
        }
        return sum;
      }),
    );
    tf.tidy(() => {
      const { increment } = run(local(arbitrary(scope, reconstruction)), step(connection, [[P, D]]));
      expect(increment).toBeAllClose(expected, { atol: 1e-5 });
    });
  });
});

it.each(['own', 'earlier', 'all'] as const)('keeps scope %s within an input channel in a depthwise layer', (scope) => {
  const [C, M] = [3, 2];
  const connection = depthwiseConv2d([2, 2, C, M]);
  tf.tidy(() => {
    const { increment } = run(local(arbitrary(scope, 'other')), step(connection, [[2, 4, 4, C]]));
    // Channel by channel: each is a separate layer with its part of G and R.
    const whole = step(connection, [[2, 4, 4, C]]);
    const call = whole.calls[0] as { pre: tf.Tensor; post: tf.Tensor };
    for (let c = 0; c < C; c++) {
      const part: LocalRule = {
        ...arbitrary(scope),
        gate: (_, state) => {
          const own = (seed: number) =>
            tf.slice(tf.reshape(tensor(seed, [18, C * M]), [18, C, M]), [0, c, 0], [-1, 1, -1]);
          return {
            gate: tf.reshape(own(11), [18, M]) as tf.Tensor2D,
            reconstruction: tf.reshape(own(12), [18, M]) as tf.Tensor2D,
            scope,
            state,
          };
        },
      };
      const single = conv2d([2, 2, 1, M]);
      const kernel = tf.slice(whole.kernel, [0, 0, c, 0], [-1, -1, 1, -1]);
      const pre = tf.slice(call.pre, [0, 0, 0, c], [-1, -1, -1, 1]);
      const layer = { connection: single, kernel, calls: [{ pre, post: single.forward(pre, kernel) }] };
      const alone = run(local(part), { ...layer, signals: {}, step: 0 });
      expect(tf.slice(increment, [0, 0, c, 0], [-1, -1, 1, -1])).toBeAllClose(alone.increment, { atol: 1e-5 });
    }
  });
});

it.each([
  { name: 'dense', connection: dense([3, 4]), preShape: [5, 3], columns: 1 },
  { name: 'conv1d', connection: conv1d([2, 3, 4]), preShape: [2, 5, 3], columns: 1 },
  { name: 'conv2d', connection: conv2d([2, 2, 3, 4], { padding: 1 }), preShape: [2, 4, 3, 3], columns: 2 },
  { name: 'depthwise', connection: depthwiseConv2d([2, 2, 3, 2]), preShape: [2, 4, 3, 3], columns: 3 },
])('maps the input forward to fewer columns than units: $name', ({ connection, preShape, columns }) => {
  const compared: (readonly [few: number[], all: number[]])[] = [];
  const curious: LocalRule = {
    ...arbitrary('own'),
    gate({ post, units, forward }: LocalContext, state: Record<string, never>) {
      const ones = (count: number) => tf.ones([units.fanIn, count]) as tf.Tensor2D;
      const few = forward(ones(columns), tf.square);
      // Each column is that of the same group among all columns.
      const all = tf.gather(
        forward(ones(units.fanOut), tf.square),
        Array.from({ length: columns }, (_, c) => (c * units.fanOut) / columns),
        1,
      );
      compared.push([
        [...few.shape, ...few.dataSync()],
        [...all.shape, ...all.dataSync()],
      ]);
      return { gate: post, reconstruction: 1, scope: 'own', state };
    },
  };
  tf.tidy(() => {
    run(local(curious), step(connection, [preShape]));
  });
  for (const [few, all] of compared) expect(few).toBeAllClose(all, { rtol: 1e-5 });
  expect(compared).toHaveLength(1);
});

describe('a layer called twice', () => {
  it('is one layer for the rule, with forward() over both calls', () => {
    const seen: Partial<Record<'post' | 'squares', number[]>> = {};
    const curious: LocalRule = {
      ...arbitrary('own'),
      gate(context: LocalContext, state: Record<string, never>) {
        seen.post = [...context.post.shape];
        const squares = context.forward(tf.onesLike(context.weights), tf.square);
        seen.squares = [...squares.dataSync()];
        return { gate: context.post, reconstruction: 1, scope: 'own', state };
      },
    };
    tf.tidy(() => {
      run(
        local(curious),
        step(dense([3, 4]), [
          [2, 3],
          [5, 3],
        ]),
      );
      expect(seen.post).toEqual([7, 4]);
      const both = [...numbers(20, [2, 3]), ...numbers(21, [5, 3])];
      const norms = Array.from({ length: 7 }, (_, p) => row(both, p, 3).reduce((sum, each) => sum + each * each, 0));
      expect(seen.squares).toBeAllClose(
        norms.flatMap((norm) => [norm, norm, norm, norm]),
        { rtol: 1e-5 },
      );
    });
  });

  it('has one increment, with wrappers applied once to the sum', () => {
    tf.tidy(() => {
      const connection = conv2d([2, 2, 2, 3]);
      const shapes = [
        [2, 4, 4, 2],
        [1, 3, 5, 2],
      ];
      const rule = arbitrary('all', 'post');
      const { increment, eligibilities } = run(local(maxAbs(rule)), step(connection, shapes));
      const [sum] = eligibilities as [tf.Tensor];
      const largest = Math.max(...sum.dataSync().map(Math.abs));
      expect(Math.max(...increment.dataSync().map(Math.abs))).toBe(1);
      expect(tf.mul(increment, largest)).toBeAllClose(sum, { atol: 1e-5 });
    });
  });
});

/** One factor per example, known beforehand. */
const perExample = (factors: readonly number[]): PerExampleModulator<'reward'> => ({
  spec: specOf('perExample'),
  actsOn: 'example',
  reads: ['reward'],
  init: () => ({}),
  factor: (_, __, state) => ({ factor: tf.tensor1d([...factors]), state }),
});
const reward = () => ({ reward: tf.scalar(1) });

describe('a factor per example', () => {
  const additive: LocalRule = {
    ...arbitrary('own'),
    gate: ({ post }, state) => ({ gate: tf.softmax(post), reconstruction: post, scope: 'earlier', state }),
  };

  it.each<{ name: string; connection: Connection; shape: number[] }>([
    { name: 'dense', connection: dense([3, 4]), shape: [3, 3] },
    { name: 'dense over time', connection: dense([3, 4]), shape: [3, 2, 3] },
    { name: 'conv2d', connection: conv2d([2, 2, 2, 3], { padding: 1 }), shape: [3, 4, 4, 2] },
    { name: 'depthwise', connection: depthwiseConv2d([2, 2, 2, 2]), shape: [3, 4, 4, 2] },
  ])('weights each example’s ΔW: $name', ({ connection, shape }) => {
    tf.tidy(() => {
      const factors = [0.5, -2, 0];
      const layer = step(connection, [shape], reward());
      const actual = run(threeFactor(additive, perExample(factors)), layer).increment;
      const { pre } = layer.calls[0] as { pre: tf.Tensor };
      const each = tf.split(pre, 3, 0).map((example, i) => {
        const calls = [{ pre: example, post: connection.forward(example, layer.kernel) }];
        return tf.mul(run(local(additive), { ...layer, calls }).increment, factors[i] as number);
      });
      expect(actual).toBeAllClose(tf.addN(each), { atol: 1e-5 });
    });
  });

  it('acts outside maxAbs, whose divisor is that of the unmodulated ΔW', () => {
    tf.tidy(() => {
      const layer = step(dense([3, 4]), [[3, 3]], reward());
      const plain = run(local(additive), layer).increment;
      const raw = run(threeFactor(additive, perExample([0.5, -2, 0])), layer).increment;
      const actual = run(threeFactor(maxAbs(additive), perExample([0.5, -2, 0])), layer).increment;
      expect(actual).toBeAllClose(tf.div(raw, tf.max(tf.abs(plain))), { atol: 1e-6 });
    });
  });

  it('correlates [G, m⊙G] in one pass if a wrapper measures ΔW', () => {
    tf.tidy(() => {
      const layer = step(dense([3, 4]), [[3, 3]], reward());
      const plasticity = threeFactor(maxAbs(additive), perExample([1, 2, 3]));
      const state = initState(plasticity, [3, 4], layer.connection.units);
      const opened = computeGates(plasticity, { ...layer, step: 0 }, state);
      expect(opened?.cotangents.map((each) => each.length)).toEqual([2]);
      expect(opened?.overlaps.map((each) => each?.shape)).toEqual([
        [4, 4],
        [4, 4],
      ]);
    });
  });

  it.each<[sizes: number[], count: number, firsts: number[] | null]>([
    [[3], 3, [0]],
    [[32, 1], 33, [0, 32]],
    [[4, 4, 4], 12, [0, 4, 8]],
    [[4, 4, 4], 4, [0, 0, 0]], // three places in a model, or three rounds
    [[4, 4, 2, 2], 6, [0, 0, 4, 4]], // two places, two parts
    [[4, 2, 4, 2], 6, [0, 4, 0, 4]], // two rounds, two parts
    [[4, 4, 4, 4], 8, null], // either of these
    [[0, 0], 0, [0, 0]],
    [[0, 3], 3, [0, 0]],
    [[0, 0], 3, null],
    [[3], 0, null],
    [[3], 6, null],
    [[3, 3], 5, null],
    [[4, 3, 2], 3, null],
    [[2, 5, 5, 2], 7, [0, 2, 0, 5]],
  ])('finds the examples of calls with batch sizes %j among %i examples', (sizes, count, firsts) => {
    tf.tidy(() => {
      const calls = sizes.map((size) => ({ pre: tf.zeros([size, 2]), post: tf.zeros([size, 2]) }));
      expect(examplesOf(calls, count)).toEqual(firsts);
    });
  });

  it('gives the same increment for a batch in one call and in several', () => {
    tf.tidy(() => {
      const layer = step(dense([3, 4]), [[6, 3]], reward());
      const plasticity = threeFactor(additive, perExample([1, 2, 3, -4, 5, 0.5]));
      const [{ pre, post }] = layer.calls as [LayerUse];
      for (const sizes of [[6], [1, 5], [5, 1], [2, 2, 2], [1, 2, 3], [1, 1, 1, 1, 1, 1]]) {
        const [pres, posts] = [tf.split(pre, sizes), tf.split(post, sizes)];
        const calls = sizes.map((_, i) => ({ pre: pres[i] as tf.Tensor, post: posts[i] as tf.Tensor }));
        expect(run(plasticity, { ...layer, calls }).increment).toBeAllClose(run(plasticity, layer).increment, {
          rtol: 1e-5,
          atol: 1e-5,
        });
      }
    });
  });

  it('rejects a factor for another batch size', () => {
    tf.tidy(() => {
      const plasticity = threeFactor(additive, perExample([1, 2]));
      const attempt = () => run(plasticity, step(dense([3, 4]), [[3, 3]], reward()));
      expect(attempt).toThrow(expect.objectContaining({ code: 'EXAMPLE_COUNT' }));
      expect(attempt).toThrow('2 factors for a layer called with 3 examples');
    });
  });

  it.each<[name: string, rule: LocalRule]>([
    ['rms', rms(additive)],
    ['constant', constant()],
    [
      'trace',
      wrap(additive, 'trace', {
        spec: specOf('trace'),
        linear: false,
        init: () => ({}),
        wrap: (_, __, state) => ({ apply: (same) => same, state }),
      }),
    ],
  ])('is rejected with %s', (name, rule) => {
    const attempt = () => threeFactor(rule, perExample([1]));
    expect(attempt).toThrow(expect.objectContaining({ code: 'PER_EXAMPLE_REFUSED' }));
    expect(attempt).toThrow(name);
  });
});

describe('signals', () => {
  const reading: WeightModulator<'gradient' | 'loss'> = {
    spec: specOf('reading'),
    actsOn: 'weights',
    reads: ['gradient', 'loss'],
    init: () => ({}),
    modulate: (delta, signals, _, state) => {
      expect(Object.keys(signals)).toEqual(['gradient', 'loss']);
      return { increment: delta, state };
    },
  };

  it('passes a modulator only the signals that it reads', () => {
    tf.tidy(() => {
      const signals = { gradient: tensor(1, [3, 4]), loss: tf.scalar(1), reward: tf.scalar(2) };
      run(threeFactor(arbitrary('own'), reading), step(dense([3, 4]), [[2, 3]], signals));
    });
    expect.assertions(1);
  });

  it.each([
    ['a signal of a modulator', threeFactor(arbitrary('own'), reading), { gradient: true }, 'loss'],
    ['the gradient', gradientDescent(), {}, 'gradient'],
    ['a signal of a gate', threeFactor(arbitrary('own'), perExample([1])), {}, 'reward'],
  ] as const)('raise an error that names the missing one: %s', (_, plasticity, available, missing) => {
    tf.tidy(() => {
      const signals = 'gradient' in available ? { gradient: tensor(1, [3, 4]) } : {};
      const attempt = () => run(plasticity, step(dense([3, 4]), [[1, 3]], signals));
      expect(attempt).toThrow(expect.objectContaining({ code: 'SIGNAL_MISSING' }));
      expect(attempt).toThrow(`'${missing}'`);
    });
  });

  it('lists the signals that a plasticity needs', () => {
    expect(gradientDescent().reads).toEqual(['gradient']);
    expect(local(arbitrary('own')).reads).toEqual([]);
    expect(threeFactor(arbitrary('own'), reading).reads).toEqual(['gradient', 'loss']);
  });
});

describe('rejects a shape that would be broadcast', () => {
  const layer = () => step(dense([3, 4]), [[5, 3]], { loss: tf.scalar(1) });
  const saying = (change: (post: tf.Tensor2D) => object): LocalRule => ({
    ...arbitrary('own'),
    gate: ({ post }, state) => ({ gate: post, reconstruction: post, scope: 'own', state, ...change(post) }),
  });
  const modulating: WeightModulator<'loss'> = {
    spec: specOf('modulating'),
    actsOn: 'weights',
    reads: ['loss'],
    init: () => ({}),
    modulate: (_, { loss }, __, state) => ({ increment: loss, state }),
  };
  const summing: Transform = {
    spec: specOf('summing'),
    init: () => ({}),
    update: (increment, _, state) => ({ increment: tf.sum(increment, 0), state }),
  };

  it.each<[what: string, plasticity: Plasticity]>([
    ['gate', local(saying((post) => ({ gate: tf.sum(post, 0, true) })))],
    ['reconstruction', local(saying((post) => ({ reconstruction: tf.sum(post, 0) })))],
    ['increment', threeFactor(arbitrary('own'), modulating)],
    ['increment', chain(local(arbitrary('own')), summing)],
  ])('is rejected for the %s', (what, plasticity) => {
    tf.tidy(() => {
      const attempt = () => run(plasticity, layer());
      expect(attempt).toThrow(expect.objectContaining({ code: 'WRONG_SHAPE' }));
      expect(attempt).toThrow(`The ${what} has the shape`);
    });
  });
});

describe('wrappers', () => {
  const zero: LocalRule = {
    ...arbitrary('none'),
    gate: ({ post }, state) => ({ gate: tf.zerosLike(post), scope: 'none', state }),
  };
  const layer = () => step(dense([3, 4]), [[5, 3]]);

  it('makes the largest number ±1 in maxAbs, at any scale', () => {
    tf.tidy(() => {
      const tenfold: LocalRule = {
        ...arbitrary('own'),
        gate: (context, state) => {
          const result = arbitrary('own', 'post').gate(context, state);
          return { ...result, gate: tf.mul(result.gate, 10) as tf.Tensor2D };
        },
      };
      const once = run(local(maxAbs(arbitrary('own', 'post'))), layer()).increment;
      expect(Math.max(...once.dataSync().map(Math.abs))).toBe(1);
      expect(run(local(maxAbs(tenfold)), layer()).increment).toBeAllClose(once, { atol: 1e-6 });
    });
  });

  it('gives each weight the root mean square in rms', () => {
    tf.tidy(() => {
      const plain = run(local(arbitrary('own')), layer()).increment.dataSync<'float32'>();
      const root = Math.sqrt(plain.reduce((sum, each) => sum + each * each, 0) / plain.length);
      const actual = run(local(rms(arbitrary('own'))), layer()).increment;
      expect(actual).toBeAllClose(
        Array.from({ length: 3 }, () => Array<number>(4).fill(root)),
        { rtol: 1e-5 },
      );
    });
  });

  it('keep a ΔW of 0 at 0 in maxAbs and rms', () => {
    tf.tidy(() => {
      for (const wrapped of [maxAbs(zero), rms(zero), rms(maxAbs(zero))]) {
        expect(
          run(local(wrapped), layer())
            .increment.dataSync()
            .every((each) => each === 0),
        ).toBe(true);
      }
    });
  });

  it('give 1 for every weight in constant, without any activity', () => {
    tf.tidy(() => {
      const { increment, eligibilities } = run(local(constant()), { ...layer(), calls: [] });
      expect(increment).toBeAllClose(Array.from({ length: 3 }, () => Array<number>(4).fill(1)));
      expect(eligibilities).toBeUndefined();
    });
  });

  it('pass their state from step to step', () => {
    const counting = wrap(arbitrary('own'), 'counting', {
      spec: specOf('counting'),
      linear: true,
      init: () => ({ count: tf.scalar(0) }),
      wrap: (_, __, { count }: { count: tf.Tensor }) => {
        const next = tf.add(count, 1);
        return { apply: (delta) => tf.mul(delta, next), state: { count: next } };
      },
    });
    tf.tidy(() => {
      const plasticity = local(counting);
      const first = run(plasticity, layer());
      const second = layerIncrement(plasticity, layer(), first.state);
      expect(second.increment).toBeAllClose(tf.mul(first.increment, 2), { atol: 1e-6 });
      expect((second.state.wrappers[0] as { count: tf.Tensor }).count.dataSync()[0]).toBe(2);
    });
  });
});

it('leaves no tensor in a tidy, and changes no argument', () => {
  tf.tidy(() => {
    const plasticity = threeFactor(maxAbs(arbitrary('earlier', 'post')), perExample([1, 2, 3, 4, 5]));
    const layer = step(dense([3, 4]), [[5, 3]], reward());
    const state = initState(plasticity, [3, 4], layer.connection.units);
    const tensors = [layer.kernel, ...layer.calls.flatMap(({ pre, post }) => [pre, post])];
    const before = tensors.map((each) => [...each.dataSync()]);
    const { numTensors } = tf.memory();
    tf.tidy(() => void layerIncrement(plasticity, layer, state));
    expect(tf.memory().numTensors).toBe(numTensors);
    expect(tensors.map((each) => [...each.dataSync()])).toEqual(before);
  });
});

it('compiles a plasticity to operations, up to the capacity of a kernel', () => {
  const scaled = (times: number) => chain(gradientDescent(), ...Array.from({ length: times }, () => scaleBy(0.9)));
  expect(fusedOperations(scaled(2), 0)).toEqual([['gradient'], ['scale', 0.9], ['scale', 0.9]]);
  expect(fusedOperations(scaled(MAX_OPERATIONS - 1), 0)).toHaveLength(MAX_OPERATIONS);
  expect(fusedOperations(scaled(MAX_OPERATIONS), 0)).toBeNull();
  expect(fusedOperations(scaled(1), 0, 1)).toEqual(fusedOperations(scaled(1), 0));
  expect(fusedOperations(scaled(1), 0, 0.5)).toEqual([['gradient'], ['scale', 0.9], ['scale', 0.5]]);
  expect(fusedOperations(scaled(MAX_OPERATIONS - 1), 0, 0.5)).toBeNull();
});
