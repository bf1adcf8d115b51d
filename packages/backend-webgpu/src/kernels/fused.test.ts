/** Compares fused kernels with their definitions. */
import '@tensorflow/tfjs-backend-cpu';
import { numbers, relativeError } from '@ghl/conformance/testing';
import {
  ALL_FINITE,
  BATCH_NORM,
  BATCH_NORM_GRADIENT,
  CHOOSE,
  COMPETITION,
  type CompetitionForm,
  DROPOUT,
  FUSED_UPDATE,
  OVERLAP,
} from '@ghl/core/backend';
import type { Operation } from '@ghl/core/plugin';
import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { activate, deactivate } from '../index.js';
import { run, sizeOf, tensor } from './kernels.fixture.js';

const nat = (most: number) => fc.integer({ min: 1, max: most });
const matrix = fc.tuple(nat(300), nat(90));

describe.each([true, false])('with the option subgroups: %s', (subgroups) => {
  beforeEach(async () => {
    await activate({ subgroups });
  });
  afterEach(deactivate);

  /** u, Σₚ u⊙x and Σₚ u⊙|x| in float64. */
  function competed(x: Float32Array, columns: number, temperature: number): [Float64Array, Float64Array, Float64Array] {
    const u = new Float64Array(x.length);
    const [overlap, size] = [new Float64Array(columns), new Float64Array(columns)];
    for (let at = 0; at < x.length; at += columns) {
      const row = x.subarray(at, at + columns);
      const largest = row.reduce((m, value) => Math.max(m, value));
      const powers = Array.from(row, (value) => Math.exp((value - largest) / temperature));
      const total = powers.reduce((sum, power) => sum + power);
      for (const [k, power] of powers.entries()) {
        u[at + k] = power / total;
        overlap[k]! += (power / total) * row[k]!;
        size[k]! += (power / total) * Math.abs(row[k]!);
      }
    }
    return [u, overlap, size];
  }

  async function competitionErrors(shape: readonly [number, number], temperature: number): Promise<number[]> {
    const x = numbers(1, shape).map((value) => 3 * value);
    const actual = await run(COMPETITION, { x: tf.tensor2d(x, [...shape]) }, { temperature });
    const [u, overlap, size] = competed(x, shape[1], temperature);
    // Terms of both signs cancel: the error of their sum is relative to their size.
    const cancellation = Math.max(...overlap.map(Math.abs)) / Math.max(...size);
    return [relativeError(actual[0]!, u), relativeError(actual[1]!, overlap) * cancellation];
  }

  it('competition returns the softmax at its temperature, and the overlap', async () => {
    const shapes = fc.tuple(nat(60), fc.oneof(nat(20), nat(1100), nat(2600)));
    await fc.assert(
      fc.asyncProperty(shapes, fc.constantFrom(0.01, 0.65, 1, 4, 1e6), async (shape, temperature) => {
        for (const e of await competitionErrors(shape, temperature)) expect(e).toBeLessThan(1e-5);
      }),
      { numRuns: 25 },
    );
  });

  it('competition supports rows of one unit, and rows too wide for registers', async () => {
    for (const shape of [
      [1, 1],
      [3, 2049],
      [2, 5000],
    ] as const) {
      for (const e of await competitionErrors(shape, 0.5)) expect(e).toBeLessThan(1e-5);
    }
  });

  it('competition changes the sign of the losers, and selects the first winner, in rows of any width', async () => {
    for (const columns of [30, 2100]) {
      // Few distinct values, so most are equal to others.
      const values = numbers(1, [3, columns]).map((value) => Math.round(3 * value));
      const gate = async (form: CompetitionForm) => {
        const [actual] = await run(COMPETITION, { x: tf.tensor2d(values, [3, columns]) }, { temperature: 1, form });
        return actual!;
      };
      const isFirst = (_: number, i: number) => {
        const row = values.subarray(i - (i % columns), i - (i % columns) + columns);
        return row.indexOf(Math.max(...row)) === i % columns;
      };
      const shares = await gate('shares');
      expect(await gate('signed')).toEqual(shares.map((share, i) => (isFirst(share, i) ? share : -share)));
      expect(await gate('winner')).toEqual(shares.map((share, i) => Number(isFirst(share, i))));
    }
  });

  it.each([5, 2100])('competition of %i units supports numbers of any size at any temperature', async (columns) => {
    for (const [size, temperature] of [
      [3e38, 1e38],
      [3e38, 1e-30],
      [1, 2 ** -126],
      [1, 1e-40],
      [1, 2 ** 125],
    ] as const) {
      const x = numbers(1, [2 * columns]).map((value) => size * value);
      const [u] = await run(COMPETITION, { x: tf.tensor2d(x, [2, columns]) }, { temperature });
      expect(relativeError(u!, competed(x, columns, temperature)[0])).toBeLessThan(1e-5);
    }
  });

  it('competition propagates NaN and infinity within their row only', async () => {
    const bad = [Number.NaN, Number.POSITIVE_INFINITY];
    for (const columns of [5, 100, 2100]) {
      for (const value of bad) {
        const x = numbers(1, [3 * columns]);
        x[columns + 2] = value;
        const [u] = await run(COMPETITION, { x: tf.tensor2d(x, [3, columns]) }, { temperature: 1 });
        const rows = [0, 1, 2].map((row) => u!.subarray(row * columns, (row + 1) * columns));
        expect(rows[1]!.some(Number.isNaN)).toBe(true);
        for (const row of [rows[0]!, rows[2]!]) expect(row.reduce((sum, share) => sum + share)).toBeCloseTo(1, 5);
      }
    }
  });
});

describe('fused kernels', () => {
  beforeEach(async () => {
    await activate();
  });
  afterAll(deactivate);

  it('overlap is the diagonal of a product', async () => {
    const shapes = fc.oneof(matrix, fc.constantFrom<[number, number]>([5000, 7], [2, 20_000], [1, 1]));
    await fc.assert(
      fc.asyncProperty(shapes, async (shape) => {
        const [a, b] = [numbers(1, shape), numbers(2, shape)];
        const expected = new Float64Array(shape[1]);
        for (const [i, value] of a.entries()) expected[i % shape[1]]! += value * b[i]!;
        const [actual] = await run(OVERLAP, { a: tensor(shape, 1), b: tensor(shape, 2) }, {});
        // Terms of both signs cancel: the error is relative to their size.
        expect(relativeError(actual!, expected) * Math.max(...expected.map(Math.abs))).toBeLessThan(
          2e-6 * Math.sqrt(shape[0]),
        );
      }),
      { numRuns: 20 },
    );
  });

  it('overlap throws a coded error for empty tensors', () => {
    const none = tf.zeros([0, 5]);
    expect(() => tf.engine().runKernel(OVERLAP, { a: none, b: none })).toThrow(
      expect.objectContaining({ code: 'EMPTY_TENSOR' }),
    );
    none.dispose();
  });

  it.each([true, false])(
    'choose returns one of two tensors, with and without other references to the new one: %s',
    async (flag) => {
      for (const size of [1, 700 * 301]) {
        const doubled = numbers(1, [size]).map((x) => 2 * x);
        const made = () => tf.tidy(() => tf.mul(tensor([size], 1), 2));
        const shared = made();
        const ways: [make: () => tf.Tensor, expected: ArrayLike<number>][] = [
          [made, doubled],
          [() => tf.clone(shared), doubled],
          [() => tf.tensor1d(doubled), doubled],
          [
            () => tf.tidy(() => tf.add(tf.fill([size], 3, 'int32'), tf.scalar(4, 'int32'))),
            new Int32Array(size).fill(7),
          ],
        ];
        for (const [make, expected] of ways) {
          const value = make();
          const before = tf.fill([size], -1, value.dtype as 'float32');
          const [actual] = await run(CHOOSE, { ok: tf.scalar(flag, 'bool'), value, before }, {});
          expect(relativeError(actual!, flag ? expected : new Float32Array(size).fill(-1))).toBeLessThan(1e-6);
        }
        expect(relativeError(await shared.data(), doubled)).toBeLessThan(1e-6);
        shared.dispose();
      }
    },
  );

  it('allFinite checks every element: finite, or equal to its previous value', async () => {
    const finite = async (x: Float32Array, before?: Float32Array) => {
      const inputs = { x: tf.tensor1d(x), ...(before && { before: tf.tensor1d(before) }) };
      return (await run(ALL_FINITE, inputs, {}))[0]![0] === 1;
    };
    const bad = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
    for (const [size, place] of [
      [1, 0],
      [5, 4],
      [4096, 4095],
      [4097, 4096],
      [200_003, 77_777],
    ] as const) {
      for (const value of bad) {
        const sound = numbers(1, [size]);
        const spoilt = sound.map((number, i) => (i === place ? value : number));
        expect(
          await Promise.all([finite(sound), finite(spoilt), finite(sound, spoilt), finite(spoilt, sound)]),
        ).toEqual([true, false, true, false]);
        expect(await finite(spoilt, spoilt)).toBe(!Number.isNaN(value));
      }
    }
  });

  describe('fused update', () => {
    const wrapper = fc.constantFrom<Operation>(['maxAbs'], ['rms']);
    const modulator = fc.constantFrom<Operation>(['magnitude'], ['flip']);
    const transform = fc.constantFrom<Operation>(['scale', 0.25], ['scale', -3], ['decay', 0.125], ['decay', 0]);
    const head = fc.constantFrom<Operation>(['eligibility'], ['gradient'], ['one']);
    const program = fc
      .tuple(
        head,
        fc.array(wrapper, { maxLength: 2 }),
        fc.array(modulator, { maxLength: 1 }),
        fc.array(transform, { maxLength: 3 }),
      )
      .map(([first, ...rest]) => [first, ...rest.flat()]);

    type Given = Record<'weights' | 'sums' | 'overlap' | 'gradient', Float32Array>;

    function sample([rows, units]: readonly [number, number]): Given {
      const [weights, sums, overlap] = [numbers(1, [rows * units]), numbers(2, [rows * units]), numbers(3, [units])];
      // Some are 0, whose sign is 0.
      return { weights, sums, overlap, gradient: numbers(4, [rows * units]).map((g) => Math.max(g, 0)) };
    }

    const squares = (values: Float64Array) => values.reduce((sum, value) => sum + value ** 2, 0);

    /** An operation with norms of units on v, in float64. */
    function unitwise([name, a = 0, b = 0]: Operation, v: Float64Array, weights: Float32Array, units: number) {
      const rows = v.length / units;
      const columns = (of: (i: number) => number) =>
        Array.from({ length: units }, (_, k) => Float64Array.from({ length: rows }, (_, row) => of(row * units + k)));
      const own = columns((i) => v[i]!);
      const totals = own.map(squares);
      const mean = totals.reduce((x, y) => x + y) / totals.filter((total) => total > 0).length;
      const lengths = columns((i) => weights[i]!).map((column) => Math.sqrt(squares(column)));
      const next = columns((i) => v[i]! + weights[i]!).map((column) => Math.sqrt(squares(column)));
      return v.map((value, i) => {
        const [w, k] = [weights[i]!, i % units];
        switch (name) {
          case 'unitMaxAbs':
            return totals[k] === 0 ? 0 : value / own[k]!.reduce((m, each) => Math.max(m, Math.abs(each)), 0);
          case 'unitRms':
            return Math.sqrt(totals[k]! / rows);
          case 'normalizeUnits':
            return totals[k] === 0 ? 0 : value * Math.sqrt(mean / totals[k]!);
          case 'unitStep':
            return value * a * (Math.abs(lengths[k]! - 1) + 1e-10) ** b;
          case 'unitNorm':
            return next[k] === 0 ? -w : ((w + value) * a) / next[k]! - w;
          case 'power':
            return Math.sign(value) * Math.abs(value) ** a;
          case 'clip':
            return Math.max(-a, Math.min(a, value));
          default:
            return Math.max(a, Math.min(b, value + w)) - w;
        }
      });
    }

    /** The operations of a program, in float64. */
    function plain(operations: readonly Operation[], { weights, sums, overlap, gradient }: Given): Float64Array {
      let v = new Float64Array(weights.length);
      for (const operation of operations) {
        const [name, by = 0] = operation;
        if (
          !['eligibility', 'gradient', 'one', 'maxAbs', 'rms', 'magnitude', 'flip', 'scale', 'decay'].includes(name)
        ) {
          v = unitwise(operation, v, weights, overlap.length);
          continue;
        }
        const largest = v.reduce((m, value) => Math.max(m, Math.abs(value)), 0);
        const rms = Math.sqrt(v.reduce((sum, value) => sum + value ** 2, 0) / v.length);
        v = v.map((value, i) => {
          const [w, g] = [weights[i]!, gradient[i]!];
          switch (name) {
            case 'eligibility':
              return sums[i]! - w * overlap[i % overlap.length]!;
            case 'gradient':
              return -g;
            case 'one':
              return 1;
            case 'maxAbs':
              return largest === 0 ? 0 : value / largest;
            case 'rms':
              return rms;
            case 'magnitude':
              return -Math.sign(g) * Math.abs(value);
            case 'flip':
              return -Math.sign(g) * value;
            case 'scale':
              return by * value;
            default:
              return value - by * w;
          }
        });
      }
      return v.map((value, i) => value + weights[i]!);
    }

    const moved = async (
      all: Given,
      program: readonly Operation[],
      [rows, units]: readonly [number, number],
      nonNegative = false,
    ) => {
      const { overlap, ...rest } = all;
      const inputs = Object.fromEntries(Object.entries(rest).map(([name, v]) => [name, tf.tensor2d(v, [rows, units])]));
      const [weights, ok] = await run(
        FUSED_UPDATE,
        { ...inputs, overlap: tf.tensor1d(overlap) },
        { program, nonNegative },
      );
      return { weights: weights!, ok: ok![0] };
    };

    it('agrees with its operations, one at a time', async () => {
      const shapes = fc.oneof(fc.tuple(nat(90), nat(90)), fc.constant<[number, number]>([700, 301]));
      await fc.assert(
        fc.asyncProperty(shapes, program, fc.boolean(), async (shape, operations, nonNegative) => {
          const all = sample(shape);
          const { weights, ok } = await moved(all, operations, shape, nonNegative);
          expect(ok).toBe(1);
          const expected = plain(operations, all);
          const bounded = nonNegative ? expected.map((w) => Math.max(w, 0)) : expected;
          expect(relativeError(weights, bounded)).toBeLessThan(1e-5);
        }),
        { numRuns: 20 },
      );
    });

    it.each<{ program: Operation[] }>([
      { program: [['eligibility'], ['unitMaxAbs'], ['magnitude'], ['clip', 0.5], ['unitStep', 0.1, 0.5]] },
      { program: [['eligibility'], ['maxAbs'], ['normalizeUnits'], ['power', 0.5], ['bounds', 0, Infinity]] },
      { program: [['eligibility'], ['unitRms'], ['flip'], ['bounds', -0.5, 0.75], ['unitNorm', 2]] },
    ])('agrees with its operations on units: $program', async ({ program: operations }) => {
      for (const shape of [
        [1, 1],
        [37, 19],
        [300, 41],
      ] as const) {
        const all = sample(shape);
        // One unit is at 0.
        if (shape[1] > 1) for (let i = 0; i < all.sums.length; i += shape[1]) all.sums[i] = all.weights[i] = 0;
        const { weights, ok } = await moved(all, operations, shape);
        expect(ok).toBe(1);
        expect(relativeError(weights, plain(operations, all))).toBeLessThan(1e-5);
      }
    });

    it('gives each unit its norm to 1e-6 in unitNorm', async () => {
      const all = sample([301, 6]);
      const { weights } = await moved(all, [['gradient'], ['unitNorm', 3]], [301, 6]);
      for (let unit = 0; unit < 6; unit++) {
        const norm = Math.sqrt(squares(Float64Array.from(weights).filter((_, i) => i % 6 === unit)));
        expect(Math.abs(norm / 3 - 1)).toBeLessThan(1e-6);
      }
    });

    it.each<{ program: Operation[] }>([
      { program: [['gradient'], ['unitMaxAbs']] },
      { program: [['gradient'], ['normalizeUnits']] },
      { program: [['gradient'], ['unitNorm', 1]] },
      { program: [['gradient'], ['clip', 1]] },
      { program: [['gradient'], ['power', 2], ['bounds', 0, 1]] },
    ])('reports a NaN before an operation on units or a limit: $program', async ({ program: operations }) => {
      const all = sample([3, 5]);
      all.gradient[8] = Number.NaN;
      expect((await moved(all, operations, [3, 5])).ok).toBe(0);
    });

    it('requires only the inputs that its program reads', async () => {
      const shape = [3, 5] as const;
      const all = sample(shape);
      const [weights, sums] = [tf.tensor2d(all.weights, [3, 5]), tf.tensor2d(all.sums, [3, 5])];
      const [actual] = await run(FUSED_UPDATE, { weights, sums }, { program: [['eligibility'], ['scale', 0.5]] });
      expect(
        relativeError(actual!, plain([['eligibility'], ['scale', 0.5]], { ...all, overlap: new Float32Array(5) })),
      ).toBeLessThan(1e-6);
    });

    const bad = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
    it.each(bad)('reports a weight that becomes %s, also with a bound', async (value) => {
      for (const shape of [
        [3, 5],
        [700, 301],
      ] as const) {
        const all = sample(shape);
        all.gradient[sizeOf(shape) - 2] = value;
        all.sums[1] = value;
        const programs: Operation[][] = [
          [['gradient'], ['scale', 0.5]],
          [['eligibility'], ['maxAbs']],
          [['eligibility'], ['rms'], ['magnitude']],
          [['eligibility'], ['magnitude'], ['decay', 0.1]],
          ...(Number.isNaN(value) ? ([[['one'], ['flip']]] satisfies Operation[][]) : []),
        ];
        for (const operations of programs) {
          for (const nonNegative of [false, true]) {
            const { ok } = await moved(all, operations, shape, nonNegative);
            expect(ok).toBe(0);
          }
        }
      }
    });

    it('reports finite weights and increments whose sum is infinite', async () => {
      const [weights, gradient] = [tf.fill([300], 3e38), tf.fill([300], -3e38)];
      const [, ok] = await run(FUSED_UPDATE, { weights, gradient }, { program: [['gradient']] });
      expect(ok![0]).toBe(0);
    });

    it('does not change a weight whose eligibility is 0', async () => {
      const [weights, sums] = [tf.ones([4, 3]), tf.zeros([4, 3])];
      const [actual, ok] = await run(FUSED_UPDATE, { weights, sums }, { program: [['eligibility'], ['maxAbs']] });
      expect([...actual!, ok![0]]).toEqual([...new Array<number>(12).fill(1), 1]);
    });
  });

  it('batch normalisation and its gradient agree with float64', async () => {
    const shapes = fc.tuple(nat(600), nat(70));
    await fc.assert(
      fc.asyncProperty(shapes, fc.constantFrom(0, 3, 1000), async ([positions, channels], offset) => {
        const size = positions * channels;
        const xs = numbers(1, [size]).map((value) => offset + 3 * value);
        const dys = numbers(2, [size]).map((value) => value + 0.5);
        const epsilon = 1e-3;
        const tensor2d = (all: Float32Array) => tf.tensor2d(all, [positions, channels]);
        const [ys, means, variances, precisions] = (await run(BATCH_NORM, { x: tensor2d(xs) }, { epsilon })) as [
          Float32Array,
          Float32Array,
          Float32Array,
          Float32Array,
        ];
        const inputs = { dy: tensor2d(dys), y: tensor2d(ys), precision: tf.tensor1d(precisions) };
        const [dxs] = await run(BATCH_NORM_GRADIENT, inputs, {});
        const column = (all: Float32Array, c: number) =>
          Float64Array.from({ length: positions }, (_, p) => all[p * channels + c]!);
        const average = (all: Float64Array) => all.reduce((sum, value) => sum + value, 0) / positions;
        for (let c = 0; c < channels; c++) {
          const of = column(xs, c);
          const μ = average(of);
          const σ2 = average(of.map((value) => (value - μ) ** 2));
          const ρ = 1 / Math.sqrt(σ2 + epsilon);
          const normal = of.map((value) => (value - μ) * ρ);
          expect(Math.abs(means[c]! - μ)).toBeLessThan(1e-6 * (1 + Math.abs(μ)));
          expect(Math.abs(variances[c]! - σ2)).toBeLessThan(2e-5 * σ2 + 2e-7 * Math.abs(μ) + 1e-12);
          const cotangent = column(dys, c);
          const along = average(cotangent.map((value, p) => value * normal[p]!));
          const even = average(cotangent);
          const tolerance = 2e-5 * (1 + Math.abs(μ)) * Math.max(1, precisions[c]!);
          for (let p = 0; p < positions; p++) {
            const expected = (cotangent[p]! - even - normal[p]! * along) * ρ;
            if (Math.abs(ys[p * channels + c]! - normal[p]!) > tolerance) expect(ys[p * channels + c]).toBe(normal[p]);
            if (Math.abs(dxs![p * channels + c]! - expected) > 30 * tolerance)
              expect(dxs![p * channels + c]).toBe(expected);
          }
        }
      }),
      { numRuns: 20 },
    );
  });

  it.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 1e30])(
    'batch normalisation lets %s show in its channel, and in no other',
    async (value) => {
      // Single channels and groups of four; few positions and many; the first position and a later one.
      for (const [positions, channels] of [
        [40, 3],
        [40, 8],
        [900, 4],
      ] as const) {
        for (const position of [0, 7]) {
          const xs = numbers(1, [positions * channels]);
          const batchNorm = (all: Float32Array) =>
            run(BATCH_NORM, { x: tf.tensor2d(all, [positions, channels]) }, { epsilon: 1e-3 });
          const sound = await batchNorm(xs);
          xs[position * channels + 1] = value;
          const spoilt = await batchNorm(xs);
          for (const [output, all] of spoilt.entries()) {
            for (const [i, actual] of all.entries()) {
              if (i % channels !== 1) expect(actual).toBe(sound[output]![i]);
              else if (output === 2) expect(actual).not.toSatisfy(Number.isFinite);
              else if (output !== 1) expect(actual).toBeNaN();
            }
          }
        }
      }
    },
  );

  it('dropout draws the numbers of Threefry-2x32', async () => {
    // The authors of the generator published results of 20 rounds; these 13 follow the same schedule, in 32-bit
    // arithmetic.
    const threefry = (counter: number, [k0, k1]: readonly [number, number]): [number, number] => {
      const keys = [k0, k1, (0x1bd11bda ^ k0 ^ k1) >>> 0];
      const turns = [13, 15, 26, 6, 17, 29, 16, 24];
      let [a, b] = [BigInt(counter) + BigInt(k0), BigInt(k1)].map((word) => word & 0xffffffffn) as [bigint, bigint];
      for (let round = 0; round < 13; round++) {
        a = (a + b) & 0xffffffffn;
        const turn = BigInt(turns[round % 8]!);
        b = (((b << turn) | (b >> (32n - turn))) & 0xffffffffn) ^ a;
        if (round % 4 !== 3) continue;
        const injected = (round + 1) / 4;
        a = (a + BigInt(keys[injected % 3]!)) & 0xffffffffn;
        b = (b + BigInt(keys[(injected + 1) % 3]! + injected)) & 0xffffffffn;
      }
      return [Number(a), Number(b)];
    };
    const key: [number, number] = [0xdeadbeef, 0x12345678];
    for (const size of [1, 5, 8, 1003]) {
      const threshold = 0.3 * 2 ** 31;
      const [actual] = await run(
        DROPOUT,
        { x: tensor([size], 1) },
        { key, threshold: Math.round(threshold), scale: 1.5 },
      );
      const x = numbers(1, [size]);
      const expected = x.map((value, i) => {
        const draw = threefry(4 * Math.floor(i / 8) + (i % 4), key)[Math.floor(i / 4) % 2]!;
        return draw / 2 >= threshold ? 1.5 * value : 0;
      });
      expect([...actual!].map((value) => value + 0)).toEqual([...expected].map((value) => value + 0));
    }
  });
});
