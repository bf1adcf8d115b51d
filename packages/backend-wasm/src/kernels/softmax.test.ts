import { numbers, relativeError } from '@ghl/conformance/testing';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { activate, deactivate } from '../index.js';
import { onBoth } from './kernels.fixture.js';

beforeAll(async () => {
  await activate({ threads: 2 });
});
afterAll(deactivate);
beforeEach(() => tf.engine().startScope());
afterEach(() => tf.engine().endScope());

/**
 * The definition in float64, except that x − max x is rounded to float32: that rounding is not an error of the kernel.
 */
function softmax(x: Float32Array, columns: number): Float64Array {
  const y = new Float64Array(x.length);
  for (let at = 0; at < x.length; at += columns) {
    const row = x.subarray(at, at + columns);
    const largest = row.reduce((m, value) => Math.max(m, value));
    const powers = Array.from(row, (value) => Math.exp(Math.fround(value - largest)));
    const sum = powers.reduce((total, power) => total + power);
    y.set(
      powers.map((power) => power / sum),
      at,
    );
  }
  return y;
}

it.each([1, 2, 3, 4, 5, 10, 16, 17, 96, 100, 513, 1536, 20000])('softmax is float64 to 1e-6, row of %i', (columns) => {
  const rows = columns < 1000 ? 1 + Math.ceil(40000 / columns) : 3;
  for (const scale of [1, 10, 85]) {
    const x = numbers(columns, [rows * columns]).map((value) => scale * value);
    const expected = softmax(x, columns);
    const actual = tf.softmax(tf.tensor2d(x, [rows, columns])).dataSync();
    // For a value below the smallest normal number, 0 is close enough.
    const off = actual.findIndex((value, i) => !(Math.abs(value - expected[i]!) <= 1e-6 * expected[i]! + 2 ** -126));
    expect([actual[off], expected[off]]).toEqual([undefined, undefined]);
  }
});

it('softmax is over the last axis, for any number of axes', () => {
  const shape = [2, 3, 4, 5];
  const x = numbers(1, shape);
  const out = tf.softmax(tf.tensor4d(x, shape as [number, number, number, number]));
  expect(out.shape).toEqual(shape);
  expect(relativeError(out.dataSync(), softmax(x, 5))).toBeLessThan(1e-6);
});

it('softmax supports large and infinite values, and propagates NaN, as the cpu backend does', async () => {
  const [inf, nan] = [Infinity, Number.NaN];
  const rows = [
    [1e38, 1e38, -1e38, 0, 1],
    [-3e38, -3e38, -3e38, -3e38, -3e38],
    [-inf, 0, 0, -inf, 0],
    [inf, 0, 0, 0, 0],
    [nan, 0, 0, 0, 0],
    [0, 0, 0, 0, nan],
    [-inf, -inf, -inf, -inf, -inf],
    [0, -1000, -88, -87, -200],
  ];
  const [[wasm], [cpu]] = await onBoth(() => [tf.softmax(tf.tensor2d(rows))]);
  for (const [i, value] of cpu!.entries()) {
    if (Number.isNaN(value)) expect(wasm![i]).toBeNaN();
    else expect(Math.abs(wasm![i]! - value)).toBeLessThanOrEqual(1e-6 * value + 2 ** -126);
  }
});

it('softmax of an empty tensor is empty', () => {
  expect(tf.softmax(tf.zeros([0, 5])).shape).toEqual([0, 5]);
});
