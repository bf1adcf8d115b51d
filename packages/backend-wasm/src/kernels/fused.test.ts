/** Compares fused kernels with the plain kernels that they replace. */
import {
  ALL_FINITE,
  BATCH_NORM,
  BATCH_NORM_GRADIENT,
  CHOOSE,
  COMPETITION,
  type CompetitionForm,
  FUSED_UPDATE,
} from '@ghl/core/backend';
import type { Operation } from '@ghl/core/plugin';
import '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { activate, deactivate } from '../index.js';

beforeAll(async () => {
  await activate({ threads: 2 });
});
afterAll(deactivate);

const run = (name: string, inputs: tf.NamedTensorMap, attrs: object) =>
  tf.engine().runKernel(name, inputs, attrs as never) as unknown as tf.Tensor[];

describe('fused update', () => {
  const wrapper = fc.constantFrom<Operation>(
    ['maxAbs'],
    ['rms'],
    ['unitMaxAbs'],
    ['unitRms'],
    ['normalizeUnits'],
    ['power', 0.5],
    ['power', 0.25],
    ['power', 1.7],
  );
  const modulator = fc.constantFrom<Operation>(['magnitude'], ['flip']);
  const transform = fc.oneof(
    fc.constantFrom<Operation>(
      ['scale', 0.25],
      ['scale', -3],
      ['decay', 0.125],
      ['decay', 0],
      ['clip', 0.5],
      ['clip', 0],
      ['bounds', -0.5, 0.75],
      ['bounds', Number.NEGATIVE_INFINITY, 0.5],
      ['unitStep', 0.1, 0.5],
      ['unitStep', 2, 0.75],
      ['unitNorm', 2],
    ),
  );
  const head = fc.constantFrom<Operation>(['eligibility'], ['gradient'], ['one']);
  const program = fc
    .tuple(
      head,
      fc.array(wrapper, { maxLength: 2 }),
      fc.array(modulator, { maxLength: 1 }),
      fc.array(transform, { maxLength: 3 }),
    )
    .map(([first, ...rest]) => [first, ...rest.flat()]);

  interface Given {
    readonly weights: tf.Tensor;
    readonly sums: tf.Tensor;
    readonly overlap: tf.Tensor;
    readonly gradient: tf.Tensor;
  }

  /** The operations of a program, as in the engine. */
  function plain(operations: readonly Operation[], { weights, sums, overlap, gradient }: Given): tf.Tensor {
    let v: tf.Tensor = tf.scalar(0);
    for (const [name, by = 0, and = 0] of operations) {
      switch (name) {
        case 'unitMaxAbs':
          v = tf.divNoNan(v, tf.max(tf.abs(v), 0));
          break;
        case 'unitRms':
          v = tf.mul(tf.onesLike(v), tf.sqrt(tf.mean(tf.square(v), 0)));
          break;
        case 'normalizeUnits': {
          const squares = tf.sum(tf.square(v), 0);
          const active = tf.sum(tf.cast(tf.greater(squares, 0), 'float32'));
          v = tf.mul(v, tf.sqrt(tf.divNoNan(tf.divNoNan(tf.sum(squares), active), squares)));
          break;
        }
        case 'power':
          v = tf.mul(tf.sign(v), tf.pow(tf.abs(v), by));
          break;
        case 'clip':
          v = tf.clipByValue(v, -by, by);
          break;
        case 'bounds':
          v = tf.sub(tf.clipByValue(tf.add(weights, v), by, and), weights);
          break;
        case 'unitStep': {
          const distance = tf.abs(tf.sub(tf.sqrt(tf.sum(tf.square(weights), 0)), 1));
          v = tf.mul(v, tf.mul(tf.pow(tf.add(distance, 1e-10), and), by));
          break;
        }
        case 'unitNorm': {
          const next = tf.add(weights, v);
          v = tf.sub(tf.mul(tf.divNoNan(next, tf.sqrt(tf.sum(tf.square(next), 0))), by), weights);
          break;
        }
        case 'eligibility':
          v = tf.sub(sums, tf.mul(weights, overlap));
          break;
        case 'gradient':
          v = tf.neg(gradient);
          break;
        case 'one':
          v = tf.onesLike(weights);
          break;
        case 'maxAbs':
          v = tf.divNoNan(v, tf.max(tf.abs(v)));
          break;
        case 'rms':
          v = tf.mul(tf.onesLike(v), tf.sqrt(tf.mean(tf.square(v))));
          break;
        case 'magnitude':
          v = tf.neg(tf.mul(tf.sign(gradient), tf.abs(v)));
          break;
        case 'flip':
          v = tf.neg(tf.mul(tf.sign(gradient), v));
          break;
        case 'scale':
          v = tf.mul(v, by);
          break;
        case 'decay':
          v = tf.sub(v, tf.mul(weights, by));
          break;
      }
    }
    return tf.add(weights, v);
  }

  function sample(shape: readonly [number, number], seed: number, gradientOf = (g: tf.Tensor) => g): Given {
    const normal = (size: readonly number[], offset: number) =>
      tf.randomNormal([...size], 0, 1, 'float32', seed + offset);
    return {
      weights: normal(shape, 1),
      sums: normal(shape, 2),
      overlap: normal([shape[1]], 3),
      // Some are 0, whose sign is 0.
      gradient: gradientOf(tf.relu(normal(shape, 4))),
    };
  }

  const shapes = fc.oneof(
    { weight: 19, arbitrary: fc.tuple(fc.integer({ min: 1, max: 50 }), fc.integer({ min: 1, max: 70 })) },
    // Several tasks, and more units than a task has weights.
    { weight: 1, arbitrary: fc.constantFrom<[number, number]>([700, 101], [8000, 9], [2, 40_000]) },
  );

  it('agrees with its operations, one at a time', () => {
    fc.assert(
      fc.property(shapes, program, fc.boolean(), fc.nat(1000), (shape, operations, nonNegative, seed) => {
        tf.tidy(() => {
          const all = sample(shape, seed);
          const [weights, ok] = run(FUSED_UPDATE, { ...all }, { program: operations, nonNegative });
          expect(ok!.dataSync()[0]).toBe(1);
          expect(weights!.shape).toEqual([...shape]);
          const moved = plain(operations, all);
          const expected = (nonNegative ? tf.relu(moved) : moved).dataSync();
          expect(weights!.dataSync()).toBeAllClose(expected, { rtol: 1e-5, atol: 1e-4 });
        });
      }),
      { numRuns: 80 },
    );
  });

  it.each([Number.NaN, Number.POSITIVE_INFINITY])('reports a weight that becomes %s, also with a bound', (bad) => {
    const poison = (g: tf.Tensor) => tf.concat([tf.fill([1, g.shape[1]!], bad), tf.slice(g, [1, 0])]);
    tf.tidy(() => {
      for (const shape of [
        [3, 5],
        [300, 70],
      ] as const) {
        const all = sample(shape, 1, poison);
        for (const nonNegative of [false, true]) {
          const [, ok] = run(FUSED_UPDATE, { ...all }, { program: [['gradient'], ['scale', 0.5]], nonNegative });
          expect(ok!.dataSync()[0]).toBe(0);
        }
        const divided = run(FUSED_UPDATE, { ...all, sums: all.gradient }, { program: [['eligibility'], ['maxAbs']] });
        expect(divided[1]!.dataSync()[0]).toBe(0);
      }
    });
  });

  it('reports finite weights and increments whose sum is infinite', () => {
    tf.tidy(() => {
      for (const size of [1, 4, 9000]) {
        const [weights, gradient] = [tf.fill([size], 3e38), tf.fill([size], -3e38)];
        expect(run(FUSED_UPDATE, { weights, gradient }, { program: [['gradient']] })[1]!.dataSync()[0]).toBe(0);
      }
    });
  });

  it('gives each unit its norm to 1e-6 in unitNorm, and keeps a unit at 0', () => {
    tf.tidy(() => {
      const shape = [301, 66] as const;
      const { weights, gradient } = sample(shape, 3);
      const live = tf.cast(tf.notEqual(tf.range(0, 66), 5), 'float32');
      const inputs = { weights: tf.mul(weights, live), gradient: tf.mul(gradient, live) };
      const [next] = run(FUSED_UPDATE, inputs, { program: [['gradient'], ['unitNorm', 3]], units: 66 });
      const values = next!.dataSync();
      for (let unit = 0; unit < 66; unit++) {
        const norm = Math.hypot(...values.filter((_, i) => i % 66 === unit));
        expect(Math.abs(norm / 3 - (unit === 5 ? 0 : 1))).toBeLessThan(1e-6);
      }
    });
  });

  it('reports a NaN in one unit', () => {
    tf.tidy(() => {
      const all = sample([50, 7], 1, (g) => tf.where(tf.equal(tf.range(0, 7), 3), tf.mul(g, Number.NaN), g));
      for (const name of ['unitMaxAbs', 'unitRms', 'normalizeUnits'] as const) {
        const [, ok] = run(FUSED_UPDATE, { ...all }, { program: [['gradient'], [name]], units: 7 });
        expect(ok!.dataSync()[0]).toBe(0);
      }
      const [, ok] = run(FUSED_UPDATE, { ...all }, { program: [['gradient'], ['unitNorm', 1]], units: 7 });
      expect(ok!.dataSync()[0]).toBe(0);
    });
  });

  it('does not change a weight whose eligibility is 0', () => {
    tf.tidy(() => {
      const weights = tf.ones([4, 3]);
      const [moved, ok] = run(
        FUSED_UPDATE,
        { weights, sums: tf.zeros([4, 3]) },
        { program: [['eligibility'], ['maxAbs']] },
      );
      expect(ok!.dataSync()[0]).toBe(1);
      expect(moved!.dataSync()).toEqual(weights.dataSync());
    });
  });
});

describe('choose', () => {
  it.each([
    ['float32', [1, 2], [3, 4]],
    ['int32', [1, 2], [3, 4]],
    ['bool', [true, false], [false, true]],
  ] as const)('is one of two tensors of %s, by reference', (dtype, value, before) => {
    tf.tidy(() => {
      const [a, b] = [tf.tensor1d([...value] as number[], dtype), tf.tensor1d([...before] as number[], dtype)];
      for (const [flag, chosen] of [
        [true, a],
        [false, b],
      ] as const) {
        const ok = tf.scalar(flag, 'bool');
        const out = tf.engine().runKernel(CHOOSE, { ok, value: a, before: b }) as tf.Tensor;
        expect([out.dtype, out.dataId]).toEqual([dtype, chosen.dataId]);
        out.dispose();
        expect(chosen.dataSync()).toHaveLength(2);
      }
    });
  });
});

it('allFinite checks every element: finite, or equal to its previous value', () => {
  const bad = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  const finite = (x: readonly number[], before?: readonly number[]) =>
    tf.tidy(() => {
      const inputs = { x: tf.tensor1d([...x]), ...(before && { before: tf.tensor1d([...before]) }) };
      return (tf.engine().runKernel(ALL_FINITE, inputs) as tf.Tensor).dataSync()[0] === 1;
    });
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 40 }), fc.nat(), fc.constantFrom(...bad), (size, place, value) => {
      const numbers = Array.from({ length: size }, (_, i) => 3e38 * Math.sin(i));
      const spoilt = numbers.map((number, i) => (i === place % size ? value : number));
      expect([finite(numbers), finite(spoilt), finite(numbers, spoilt), finite(spoilt, numbers)]).toEqual([
        true,
        false,
        true,
        false,
      ]);
      expect(finite(spoilt, spoilt)).toBe(!Number.isNaN(value));
    }),
  );
  const long = new Array(100_001).fill(1);
  expect([finite(long), finite([...long, Number.NaN]), finite([])]).toEqual([true, false, true]);
});

it.each([
  [COMPETITION, { x: [0, 3] }, { temperature: 1 }],
  [COMPETITION, { x: [3, 0] }, { temperature: 1 }],
] as const)('%s throws for empty tensors, and the backend still computes: %o', (name, shapes, attributes) => {
  tf.tidy(() => {
    const inputs = Object.fromEntries(Object.entries(shapes).map(([key, shape]) => [key, tf.zeros([...shape])]));
    expect(() => run(name, inputs, attributes)).toThrow(expect.objectContaining({ code: 'EMPTY_TENSOR' }));
    expect(tf.matMul(tf.ones([2, 3]), tf.ones([3, 2])).dataSync()).toEqual(Float32Array.of(3, 3, 3, 3));
  });
});

describe('competition', () => {
  it('is the softmax at its temperature', () => {
    const shapes = fc.tuple(fc.integer({ min: 1, max: 60 }), fc.integer({ min: 1, max: 1100 }));
    fc.assert(
      fc.property(shapes, fc.constantFrom(0.01, 0.65, 1, 4, 1e6), (shape, temperature) => {
        tf.tidy(() => {
          const x = tf.randomNormal(shape, 0, 3, 'float32', 1);
          const [u, overlap] = run(COMPETITION, { x }, { temperature }) as [tf.Tensor, tf.Tensor];
          expect(u.dataSync()).toBeAllClose(tf.softmax(tf.div(x, temperature)).dataSync(), { rtol: 1e-4, atol: 1e-7 });
          expect(overlap.dataSync()).toBeAllClose(tf.sum(tf.mul(u, x), 0).dataSync(), { rtol: 1e-4, atol: 1e-5 });
        });
      }),
      { numRuns: 40 },
    );
  });

  it('changes the sign of the losers, and selects the first winner, in rows of any width', () => {
    const shapes = fc.tuple(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 1100 }));
    fc.assert(
      fc.property(shapes, fc.constantFrom(0.01, 1, 4), (shape, temperature) => {
        tf.tidy(() => {
          // Few distinct values, so most are equal to others.
          const x = tf.round(tf.randomNormal(shape, 0, 3, 'float32', 1));
          const gate = (form: CompetitionForm) => {
            const [g, overlap] = run(COMPETITION, { x }, { temperature, form }) as [tf.Tensor, tf.Tensor];
            expect(overlap.dataSync()).toBeAllClose(tf.sum(tf.mul(g, x), 0).dataSync(), { rtol: 1e-4, atol: 1e-5 });
            return g.arraySync() as number[][];
          };
          const first = (x.arraySync() as number[][]).map((row) => row.indexOf(Math.max(...row)));
          const shares = gate('shares');
          const signed = shares.map((row, p) => row.map((share, k) => (k === first[p] ? share : -share)));
          expect(gate('signed')).toEqual(signed);
          expect(gate('winner')).toEqual(shares.map((row, p) => row.map((_, k) => Number(k === first[p]))));
        });
      }),
      { numRuns: 20 },
    );
  });
});

describe('batch normalisation', () => {
  const shapes = fc.tuple(fc.integer({ min: 1, max: 600 }), fc.integer({ min: 1, max: 70 }));

  it('and its gradient agree with float64', () => {
    fc.assert(
      fc.property(shapes, fc.nat(1000), fc.constantFrom(0, 3, 1000), ([positions, channels], seed, offset) => {
        tf.tidy(() => {
          const x = tf.randomNormal([positions, channels], offset, 2, 'float32', seed + 1);
          const dy = tf.randomNormal([positions, channels], 0.5, 1, 'float32', seed + 2);
          const epsilon = 1e-3;
          const [y, mean, variance, precision] = run(BATCH_NORM, { x }, { epsilon }) as [
            tf.Tensor,
            tf.Tensor,
            tf.Tensor,
            tf.Tensor,
          ];
          const dx = tf.engine().runKernel(BATCH_NORM_GRADIENT, { dy, y, precision }) as tf.Tensor;
          const [xs, dys, ys, dxs] = [x, dy, y, dx].map((tensor) => tensor.dataSync<'float32'>());
          const [means, variances, precisions] = [mean, variance, precision].map((tensor) => tensor.dataSync());
          const column = (values: Float32Array, c: number) =>
            Float64Array.from({ length: positions }, (_, p) => values[p * channels + c]!);
          const average = (values: Float64Array) => values.reduce((sum, value) => sum + value, 0) / positions;
          for (let c = 0; c < channels; c++) {
            const of = column(xs!, c);
            const μ = average(of);
            const σ2 = average(of.map((value) => (value - μ) ** 2));
            const ρ = 1 / Math.sqrt(σ2 + epsilon);
            const normal = of.map((value) => (value - μ) * ρ);
            expect(Math.abs(means![c]! - μ)).toBeLessThan(1e-6 * (1 + Math.abs(μ)));
            expect(Math.abs(variances![c]! - σ2)).toBeLessThan(2e-5 * σ2 + 2e-7 * Math.abs(μ));
            const cotangent = column(dys!, c);
            const along = average(cotangent.map((value, p) => value * normal[p]!));
            const even = average(cotangent);
            const tolerance = 2e-5 * (1 + Math.abs(μ)) * Math.max(1, precisions![c]!);
            for (let p = 0; p < positions; p++) {
              expect(Math.abs(ys![p * channels + c]! - normal[p]!)).toBeLessThan(tolerance);
              const expected = (cotangent[p]! - even - normal[p]! * along) * ρ;
              expect(Math.abs(dxs![p * channels + c]! - expected)).toBeLessThan(30 * tolerance);
            }
          }
        });
      }),
      // Blocks of many rows of large values.
      {
        numRuns: 40,
        examples: [
          [[366, 6], 890, 1000],
          [[600, 1], 3, 1000],
        ],
      },
    );
  });
});
