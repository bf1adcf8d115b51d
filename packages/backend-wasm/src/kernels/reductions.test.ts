import { numbers, relativeError } from '@ghl/conformance/testing';
import type { Plasticity } from '@ghl/core';
import { OVERLAP } from '@ghl/core/backend';
import { conv2d, initState, layerIncrement } from '@ghl/core/engine';
import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { activate, deactivate } from '../index.js';
import { onBoth } from './kernels.fixture.js';

beforeAll(async () => {
  await activate({ threads: 2 });
});
afterAll(deactivate);
beforeEach(() => tf.engine().startScope());
afterEach(() => tf.engine().endScope());

/** Sizes near those of the blocks, and others. */
const matrices: [rows: number, columns: number][] = [
  [1, 1],
  [1, 5],
  [5, 1],
  [3, 3],
  [7, 63],
  [9, 64],
  [40, 65],
  [4001, 10],
  [2, 20001],
  [37, 2051],
  [700, 96],
  [20001, 3],
  [1025, 129],
];

/** Sums over rows or columns, and the sums of absolute values, to which errors are relative. */
function sums(x: ArrayLike<number>, rows: number, columns: number, kept: 'columns' | 'rows' | 'none') {
  const count = { columns, rows, none: 1 }[kept];
  const [sum, size] = [new Float64Array(count), new Float64Array(count)];
  for (let i = 0; i < rows * columns; i++) {
    const at = kept === 'none' ? 0 : kept === 'columns' ? i % columns : Math.floor(i / columns);
    sum[at]! += x[i]!;
    size[at]! += Math.abs(x[i]!);
  }
  return { sum, size };
}

function expectClose(actual: ArrayLike<number>, { sum, size }: ReturnType<typeof sums>, divisor = 1): void {
  expect(actual.length).toBe(sum.length);
  const off = sum.findIndex((each, i) => !(Math.abs(actual[i]! * divisor - each) <= 1e-6 * size[i]!));
  expect([actual[off], sum[off]]).toEqual([undefined, undefined]);
}

describe.each(matrices)('[%i, %i]', (rows, columns) => {
  it.each<[string, (i: number) => number]>([
    ['of both signs', (i) => Math.sin(i * i)],
    ['far from zero', (i) => 100 + Math.sin(i)],
  ])('has the sums and means of float64, values %s', (_, f) => {
    const x = Float32Array.from({ length: rows * columns }, (_, i) => f(i));
    const tensor = tf.tensor2d(x, [rows, columns]);
    const [byColumn, byRow, all] = (['columns', 'rows', 'none'] as const).map((kept) => sums(x, rows, columns, kept));
    expectClose(tf.sum(tensor, 0).dataSync(), byColumn!);
    expectClose(tf.sum(tensor, 1).dataSync(), byRow!);
    expectClose(tf.sum(tensor).dataSync(), all!);
    expectClose(tf.mean(tensor, 0).dataSync(), byColumn!, rows);
    expectClose(tf.mean(tensor, 1).dataSync(), byRow!, columns);
    expectClose(tf.mean(tensor).dataSync(), all!, rows * columns);
  });

  it('has the overlap of float64', () => {
    const [a, b] = [numbers(1, [rows * columns]), numbers(2, [rows * columns])];
    const inputs = { a: tf.tensor2d(a, [rows, columns]), b: tf.tensor2d(b, [rows, columns]) };
    const out = tf.engine().runKernel(OVERLAP, inputs) as tf.Tensor;
    expect(out.shape).toEqual([columns]);
    const products = Array.from(a, (value, i) => value * b[i]!);
    expectClose(out.dataSync(), sums(products, rows, columns, 'columns'));
  });

  it('has its maximum', () => {
    const x = numbers(3, [rows * columns]);
    for (const at of [0, x.length >> 1, x.length - 1]) {
      const raised = x.map((value, i) => (i === at ? 2 : value));
      expect(tf.max(tf.tensor2d(raised, [rows, columns])).dataSync()[0]).toBe(2);
    }
    expect(tf.max(tf.tensor2d(x, [rows, columns])).dataSync()[0]).toBe(x.reduce((m, value) => Math.max(m, value)));
  });

  it('propagates NaN', () => {
    const x = numbers(3, [rows * columns]);
    const at = x.length - 1;
    x[at] = Number.NaN;
    const tensor = tf.tensor2d(x, [rows, columns]);
    expect(tf.max(tensor).dataSync()[0]).toBeNaN();
    expect(tf.sum(tensor).dataSync()[0]).toBeNaN();
    expect(tf.sum(tensor, 0).dataSync().findIndex(Number.isNaN)).toBe(columns - 1);
    expect(tf.sum(tensor, 1).dataSync().findIndex(Number.isNaN)).toBe(rows - 1);
  });
});

it('reductions over any axes agree with the cpu backend', async () => {
  const shapes = fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 1, maxLength: 4 });
  const cases = shapes.chain((shape) =>
    fc.tuple(fc.constant(shape), fc.subarray([...shape.keys()]), fc.boolean(), fc.constantFrom('float32', 'int32')),
  );
  await fc.assert(
    fc.asyncProperty(cases, async ([shape, axes, keepDims, dtype]) => {
      const [wasm, cpu] = await onBoth(() => {
        const x = tf.cast(
          tf.tensor(
            numbers(10, shape).map((v) => 9 * v),
            shape,
          ),
          dtype as 'float32',
        ); // prettier-ignore
        const outs = [tf.sum(x, axes, keepDims), tf.mean(x, axes, keepDims), tf.max(x, axes, keepDims)];
        return [...outs, ...outs.map((out) => tf.tensor1d(out.shape))];
      });
      for (const [i, result] of wasm.entries()) expect(relativeError(result, cpu[i]!)).toBeLessThan(1e-5);
    }),
    { numRuns: 60 },
  );
});

it('the sum of no values is 0, and the mean is NaN', () => {
  expect([...tf.sum(tf.zeros([0, 3]), 0).dataSync()]).toEqual([0, 0, 0]);
  expect([...tf.sum(tf.zeros([3, 0]), 1).dataSync()]).toEqual([0, 0, 0]);
  expect([...tf.mean(tf.zeros([0, 3]), 0).dataSync()]).toEqual([Number.NaN, Number.NaN, Number.NaN]);
  expect(tf.sum(tf.zeros([2, 0]), 0).shape).toEqual([0]);
});

it('the maximum may be finite or infinite', () => {
  expect(tf.max(tf.tensor1d([-Infinity, -Infinity])).dataSync()[0]).toBe(-Infinity);
  expect(tf.max(tf.tensor1d([1, Infinity, 2])).dataSync()[0]).toBe(Infinity);
});

it('a rule of scope own runs the overlap kernel, with the ΔW of the cpu backend', async () => {
  const rule = {
    spec: { name: 'rule', args: [] },
    init: () => ({}),
    gate: ({ post }: { post: tf.Tensor2D }) => ({
      gate: tf.softmax(post),
      reconstruction: post,
      scope: 'own' as const,
      state: {},
    }),
  };
  const plasticity: Plasticity = { spec: rule.spec, rule, modulator: null, transforms: [], reads: [] } as never;
  const connection = conv2d([3, 3, 2, 5]);
  const compute = () => {
    const pre = tf.tensor4d(numbers(1, [2 * 6 * 6 * 2]), [2, 6, 6, 2]);
    const kernel = tf.tensor4d(numbers(2, [90]), [3, 3, 2, 5]);
    const calls = [{ pre, post: connection.forward(pre, kernel) }];
    const state = initState(plasticity, kernel.shape, connection.units);
    return [layerIncrement(plasticity, { connection, kernel, calls, signals: {}, step: 0 }, state).increment];
  };
  const { kernelNames } = await tf.profile(() => compute() as never);
  expect(kernelNames).toContain(OVERLAP);
  const [[wasm], [cpu]] = await onBoth(compute);
  expect(relativeError(wasm!, cpu!)).toBeLessThan(1e-5);
});
