/** Normalisations of ΔW per layer and per unit, and shuffled magnitudes, against float64. */
import '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';
import { type Connection, conv1d, conv2d, dense, depthwiseConv2d, initState, layerIncrement } from './engine/index.js';
import { fromSpec } from './from-spec.js';
import { type LocalRule, statelessRule } from './local-rule.js';
import { maxAbs, normalizeUnits, rms } from './normalize.js';
import { tensor } from './numbers.fixture.js';
import { permuted } from './permuted.js';
import { local, threeFactor } from './plasticity.js';
import { specOf } from './spec.js';

/** A rule whose gate is zero for the first `dead` units. */
const hebb = (dead = 0): LocalRule =>
  statelessRule(specOf('hebb', dead), ({ post }) => {
    const live = tf.greaterEqual(tf.range(0, post.shape[1]), dead);
    return { gate: tf.mul(post, tf.cast(live, 'float32')) as tf.Tensor2D, scope: 'none' };
  });

const layers: Record<string, [connection: Connection, preShape: number[]]> = {
  dense: [dense([3, 4]), [5, 3]],
  conv1d: [conv1d([2, 3, 4]), [2, 5, 3]],
  conv2d: [conv2d([2, 2, 3, 4]), [2, 4, 4, 3]],
  'depthwise conv2d': [depthwiseConv2d([2, 2, 3, 2]), [2, 4, 4, 3]],
};

/** The increments of a rule in the columns of its units, at several steps of the same layer. */
function columns(rule: LocalRule, [connection, preShape]: [Connection, number[]], steps = [0]): number[][][] {
  return tf.tidy(() => {
    const [kernel, pre] = [tensor(2, connection.kernelShape), tensor(3, preShape)];
    const calls = [{ pre, post: connection.forward(pre, kernel) }];
    const state = initState(local(rule), connection.kernelShape, connection.units);
    return steps.map((step) => {
      const { increment } = layerIncrement(local(rule), { connection, kernel, calls, signals: {}, step }, state);
      const { fanIn, fanOut } = connection.units;
      return tf.transpose(tf.reshape(increment, [fanIn, fanOut])).arraySync() as number[][];
    });
  });
}

const meanSquare = (values: readonly number[]) => values.reduce((sum, value) => sum + value * value, 0) / values.length;
const largest = (values: readonly number[]) => Math.max(...values.map(Math.abs));
const only = <T>(list: readonly T[]): T => list[0]!;

describe.each(Object.entries(layers))('per unit of a %s layer', (_, layer) => {
  const plain = only(columns(hebb(), layer));

  it('maxAbs divides each unit by its largest magnitude', () => {
    const expected = plain.map((unit) => unit.map((value) => value / largest(unit)));
    expect(only(columns(maxAbs(hebb(), { per: 'unit' }), layer))).toBeAllClose(expected, { rtol: 1e-5 });
  });

  it('rms gives each weight the root mean square of its unit', () => {
    const expected = plain.map((unit) => unit.map(() => Math.sqrt(meanSquare(unit))));
    expect(only(columns(rms(hebb(), { per: 'unit' }), layer))).toBeAllClose(expected, { rtol: 1e-5 });
  });

  it('normalizeUnits gives each unit the root mean square of the layer', () => {
    const root = Math.sqrt(meanSquare(plain.flat()));
    const expected = plain.map((unit) => unit.map((value) => (value * root) / Math.sqrt(meanSquare(unit))));
    expect(only(columns(normalizeUnits(hebb()), layer))).toBeAllClose(expected, { rtol: 1e-5 });
  });

  it('normalizeUnits keeps the root mean square of the layer, and units at 0', () => {
    const sparse = only(columns(hebb(2), layer));
    const normalized = only(columns(normalizeUnits(hebb(2)), layer));
    expect(
      normalized
        .slice(0, 2)
        .flat()
        .every(Object.is.bind(null, 0) as never),
    ).toBe(true);
    expect(meanSquare(normalized.flat()) / meanSquare(sparse.flat())).toBeCloseTo(1, 5);
    const squares = normalized.slice(2).map(meanSquare);
    expect(Math.max(...squares) / Math.min(...squares)).toBeCloseTo(1, 5);
  });

  it('keeps a layer at 0 if every unit is at 0', () => {
    for (const wrapped of [maxAbs(hebb(9), { per: 'unit' }), rms(hebb(9), { per: 'unit' }), normalizeUnits(hebb(9))]) {
      expect(
        only(columns(wrapped, layer))
          .flat()
          .every((value) => value === 0),
      ).toBe(true);
    }
  });
});

it('normalizeUnits changes neither an equalized ΔW nor the ratio of the weights within a unit', () => {
  const layer = layers.conv2d!;
  const once = only(columns(normalizeUnits(hebb()), layer));
  expect(only(columns(normalizeUnits(normalizeUnits(hebb())), layer))).toBeAllClose(once, { rtol: 1e-5 });
  expect(only(columns(normalizeUnits(maxAbs(hebb(), { per: 'unit' })), layer))[1]![2]! / once[1]![2]!).toBeCloseTo(
    only(columns(normalizeUnits(maxAbs(hebb(), { per: 'unit' })), layer))[1]![0]! / once[1]![0]!,
    4,
  );
});

it('acts on the ΔW of a gate that a factor per example modulated, if it is linear', () => {
  const half = {
    spec: specOf('half'),
    actsOn: 'example' as const,
    reads: [],
    init: () => ({}),
    factor: (_: object, __: object, state: object) => ({ factor: tf.fill([5], 0.5) as tf.Tensor1D, state }),
  };
  const [connection, preShape] = layers.dense!;
  for (const rule of [maxAbs(hebb(), { per: 'unit' }), normalizeUnits(hebb())]) {
    tf.tidy(() => {
      const [kernel, pre] = [tensor(2, connection.kernelShape), tensor(3, preShape)];
      const calls = [{ pre, post: connection.forward(pre, kernel) }];
      const step = { connection, kernel, calls, signals: {}, step: 0 };
      const increment = (plasticity: Parameters<typeof layerIncrement>[0]) =>
        layerIncrement(plasticity, step, initState(plasticity, [3, 4], connection.units)).increment;
      const halved = increment(threeFactor(rule, half as never));
      expect(halved).toBeAllClose(tf.mul(increment(local(rule)), 0.5), { rtol: 1e-5 });
    });
  }
  expect(() => threeFactor(rms(hebb(), { per: 'unit' }), half as never)).toThrow(
    expect.objectContaining({ code: 'PER_EXAMPLE_REFUSED' }),
  );
  expect(() => threeFactor(permuted(hebb(), 0), half as never)).toThrow(
    expect.objectContaining({ code: 'PER_EXAMPLE_REFUSED' }),
  );
});

describe('permuted', () => {
  const layer = layers.conv2d!;
  const sorted = (units: number[][]) =>
    units
      .flat()
      .map(Math.abs)
      .sort((a, b) => a - b);

  it('keeps the magnitudes of the layer and the sign of each weight', () => {
    const plain = only(columns(hebb(), layer));
    const shuffled = only(columns(permuted(hebb(), 1), layer));
    expect(sorted(shuffled)).toEqual(sorted(plain));
    expect(shuffled.flat().map(Math.sign)).toEqual(plain.flat().map(Math.sign));
    expect(shuffled).not.toEqual(plain);
  });

  it('gives a magnitude to a weight whose ΔW is 0', () => {
    const plain = only(columns(hebb(3), layer));
    const shuffled = only(columns(permuted(hebb(3), 1), layer));
    expect(plain.slice(0, 3).flat().some(Boolean)).toBe(false);
    expect(shuffled.slice(0, 3).flat().some(Boolean)).toBe(true);
    expect(sorted(shuffled)).toEqual(sorted(plain));
  });

  it('depends on the seed and the step only', () => {
    const [first, second] = columns(permuted(hebb(), 1), layer, [0, 1]) as [number[][], number[][]];
    expect(columns(permuted(hebb(), 1), layer, [1, 0])).toEqual([second, first]);
    expect(first).not.toEqual(second);
    expect(only(columns(permuted(hebb(), 2), layer))).not.toEqual(first);
  });

  it('puts each magnitude in each place equally often', () => {
    const size = 6;
    const steps = 3000;
    const connection = dense([1, size]);
    const rule = permuted(
      statelessRule(specOf('ramp'), () => ({ gate: tf.reshape(tf.range(0, size), [1, size]), scope: 'none' })),
      7,
    );
    const counts = Array.from({ length: size }, () => new Array<number>(size).fill(0));
    tf.tidy(() => {
      const kernel = tf.zeros([1, size]);
      const calls = [{ pre: tf.ones([1, 1]), post: kernel }];
      const state = initState(local(rule), [1, size], connection.units);
      for (let step = 0; step < steps; step++) {
        const layerStep = { connection, kernel, calls, signals: {}, step };
        const places = tf.tidy(() => layerIncrement(local(rule), layerStep, state).increment.dataSync());
        for (const [place, value] of places.entries()) counts[value]![place]!++;
      }
    });
    // χ² of 25 degrees of freedom exceeds 52.6 with probability 0.001.
    const expected = steps / size;
    const chiSquare = counts.flat().reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
    expect(chiSquare).toBeLessThan(52.6);
  });

  it.each([0.5, Number.NaN, '1' as never])('rejects the seed %s', (seed) => {
    expect(() => permuted(hebb(), seed)).toThrow(
      expect.objectContaining({ code: 'BAD_VALUE', summary: expect.stringContaining('permuted seed') }),
    );
  });
});

it.each([
  maxAbs(hebb(), { per: 'unit' }),
  maxAbs(hebb(), {}),
  rms(maxAbs(hebb()), { per: 'unit' }),
  normalizeUnits(maxAbs(hebb())),
  permuted(maxAbs(hebb()), 3),
])('rebuilds $spec.name from its spec: $spec.args', (rule) => {
  const rebuilt = fromSpec<LocalRule>(JSON.parse(JSON.stringify(rule.spec)), { hebb });
  expect(rebuilt.spec).toEqual(rule.spec);
  expect(columns(rebuilt, layers.conv2d!)).toEqual(columns(rule, layers.conv2d!));
});

it('keeps the spec of maxAbs and rms per layer as in older recorded runs', () => {
  expect(maxAbs(hebb()).spec).toEqual({ name: 'maxAbs', args: [hebb().spec] });
  expect(rms(hebb(), { per: 'layer' }).spec).toEqual({ name: 'rms', args: [hebb().spec] });
});

it.each([
  [{ per: 'row' }, 'BAD_VALUE'],
  [{ of: 'unit' }, 'UNKNOWN_OPTION'],
  [null, 'BAD_VALUE'],
])('rejects the options %o', (options, code) => {
  for (const wrapper of [maxAbs, rms])
    expect(() => wrapper(hebb(), options as never)).toThrow(expect.objectContaining({ code }));
});
