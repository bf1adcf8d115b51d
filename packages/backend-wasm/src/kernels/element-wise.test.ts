import { numbers } from '@ghl/conformance/testing';
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-layers';
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { activate, deactivate } from '../index.js';
import { expectSame, onBoth, sizeOf } from './kernels.fixture.js';

beforeAll(async () => {
  await activate({ threads: 2 });
});
afterAll(deactivate);
beforeEach(() => tf.engine().startScope());
afterEach(() => tf.engine().endScope());

const special = [0, -0, 1e-8, -1e-8, 1e-38, -1e-45, 3e38, -3e38, Number.NaN, Infinity, -Infinity, 1, -1, 7, -7];
/** Sizes near that of a vector and of a task, and 0. */
const sizes = [0, 1, 3, 4, 5, 16, 16383, 16384, 16385, 50001];

/** Random and special values, each special value at least once if the size allows. */
function mixed(size: number, seed: number): Float32Array {
  return numbers(seed, [size]).map((value, i) => (i % 3 === 0 ? special[(i / 3) % special.length]! : 4 * value));
}

describe('operations on one tensor', () => {
  const operations: [name: string, run: (x: tf.Tensor) => tf.Tensor, wanted: (x: number) => number][] = [
    ['relu', tf.relu, (x) => Math.max(0, x)],
    ['relu6', tf.relu6, (x) => Math.min(6, Math.max(0, x))],
    ['abs', tf.abs, Math.abs],
    ['neg', tf.neg, (x) => -x],
    ['sign', tf.sign, Math.sign],
    ['square', tf.square, (x) => x * x],
    ['sqrt', tf.sqrt, Math.sqrt],
    ['step', tf.step, (x) => (x > 0 ? 1 : Number.isNaN(x) ? x : 0)],
  ];
  it.each(operations)('%s is correct for every number and any size', (_, run, expected) => {
    for (const size of sizes) {
      const x = mixed(size, size);
      expectSame(run(tf.tensor1d(x)).dataSync(), x.map(expected));
    }
  });

  it('integers, and a step with a slope, agree with the cpu backend', async () => {
    const [wasm, cpu] = await onBoth(() => {
      const whole = tf.tensor1d([3, 0, -3], 'int32');
      return [tf.abs(whole), tf.neg(whole), tf.sign(whole), tf.square(whole), tf.step(tf.tensor1d([-2, 0, 3]), 0.5)];
    });
    expect(wasm).toEqual(cpu);
  });
});

describe('operations on two tensors', () => {
  const operations: [name: string, run: typeof tf.add, wanted: (a: number, b: number) => number][] = [
    ['add', tf.add, (a, b) => a + b],
    ['sub', tf.sub, (a, b) => a - b],
    ['mul', tf.mul, (a, b) => a * b],
    ['div', tf.div, (a, b) => a / b],
    ['maximum', tf.maximum, Math.max],
    ['minimum', tf.minimum, Math.min],
    ['squaredDifference', tf.squaredDifference, (a, b) => Math.fround(a - b) ** 2],
  ];

  /** The definition: `b` is repeated along the axes where its size is 1 and that of `a` is not. */
  function broadcast(shape: readonly number[], other: readonly number[], visit: (i: number, j: number) => void): void {
    for (let i = 0; i < sizeOf(shape); i++) {
      let [rest, j, stride] = [i, 0, 1];
      for (let axis = shape.length - 1; axis >= 0; axis--) {
        const at = rest % shape[axis]!;
        rest = Math.floor(rest / shape[axis]!);
        const size = other[axis - shape.length + other.length] ?? 1;
        if (size > 1) j += at * stride;
        stride *= size;
      }
      visit(i, j);
    }
  }

  function check(
    [, run, expected]: (typeof operations)[number],
    shape: readonly number[],
    other: readonly number[],
    turned: boolean,
    fill: (seed: number, shape: readonly number[]) => Float32Array,
  ): void {
    const [x, y] = [fill(1, shape), fill(2, other)];
    const right = new Float32Array(x.length);
    broadcast(shape, other, (i, j) => (right[i] = turned ? expected(y[j]!, x[i]!) : expected(x[i]!, y[j]!)));
    tf.tidy(() => {
      const [a, b] = [tf.tensor(x, [...shape]), tf.tensor(y, [...other])];
      const out = turned ? run(b, a) : run(a, b);
      expect(out.shape).toEqual(shape);
      expectSame(out.dataSync(), right);
    });
  }

  it.each(operations)('%s is correct for every number and any size', (...operation) => {
    for (const size of sizes.slice(1)) {
      for (const turned of [false, true]) {
        check(operation, [size], [size], turned, (seed, shape) => mixed(sizeOf(shape), seed));
        check(operation, [size], [], turned, (seed, shape) => mixed(sizeOf(shape), seed));
      }
    }
  });

  it.each(operations)('%s broadcasts any shape', (...operation) => {
    const shape = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 4 });
    const cases = shape.chain((whole) =>
      fc.tuple(
        fc.constant(whole),
        fc.array(fc.boolean(), { minLength: whole.length, maxLength: whole.length }),
        fc.nat(whole.length),
        fc.boolean(),
      ),
    );
    fc.assert(
      fc.property(cases, ([whole, spread, dropped, turned]) => {
        const other = whole.map((size, axis) => (spread[axis] || axis < dropped ? 1 : size)).slice(dropped);
        check(operation, whole, other, turned, numbers);
      }),
      { numRuns: 60 },
    );
  });

  it.each([
    [[700, 96], [96]],
    [[5, 20000], [20000]],
    [
      [3, 20001],
      [3, 1],
    ],
    [[9001, 5], [5]],
    [
      [9001, 5],
      [9001, 1],
    ],
    [
      [40000, 1],
      [1, 1],
    ],
    [[300, 255], [255]],
    [[300, 256], [256]],
  ])('broadcasting of more than one task: %j with %j', (shape, other) => {
    for (const operation of operations)
      for (const turned of [false, true]) check(operation, shape, other, turned, numbers);
  });

  it('maximum and minimum propagate NaN in any broadcast', () => {
    const { NaN: nan } = Number;
    const b = tf.tensor3d([nan, 1, -1, nan, 2, nan], [1, 3, 2]);
    for (const a of [tf.zeros([2, 1, 2]), tf.zeros([2, 3, 1]), tf.zeros([4, 1, 1, 2]), tf.zeros([1])]) {
      const copies = tf.broadcast_util.assertAndGetBroadcastShape(a.shape, b.shape).reduce((n, size) => n * size) / 6;
      const repeat = (values: number[]) => Float32Array.from({ length: 6 * copies }, (_, i) => values[i % 6]!);
      expect(tf.maximum(a, b).dataSync()).toEqual(repeat([nan, 1, 0, nan, 2, nan]));
      expect(tf.minimum(b, a).dataSync()).toEqual(repeat([nan, 0, -1, nan, 0, nan]));
    }
  });

  it('clipping propagates NaN', () => {
    const x = tf.tensor1d([Number.NaN, -3, 0.5, 7, -Infinity, Infinity]);
    expect([...tf.clipByValue(x, -1, 2).dataSync()]).toEqual([Number.NaN, -1, 0.5, 2, -1, 2]);
  });

  it('integers agree with the cpu backend', async () => {
    const [wasm, cpu] = await onBoth(() => {
      const [a, b] = [tf.tensor1d([3, 0, -3], 'int32'), tf.tensor1d([2, 2, 2], 'int32')];
      return [tf.add(a, b), tf.sub(a, b), tf.mul(a, b), tf.maximum(a, b), tf.minimum(a, b)];
    });
    expect(wasm).toEqual(cpu);
  });

  it('addN adds any number of tensors', () => {
    const parts = [1, 2, 3, 4].map((seed) => numbers(seed, [20001]));
    for (let count = 1; count <= 4; count++) {
      const right = parts.slice(0, count).reduce((sum, part) => sum.map((value, i) => value + part[i]!));
      expectSame(tf.addN(parts.slice(0, count).map((part) => tf.tensor1d(part))).dataSync(), right);
    }
  });
});

describe('selection and conversion', () => {
  it.each(sizes)('select chooses by the condition, size %i', (size) => {
    const [a, b] = [mixed(size, 1), mixed(size, 2)];
    const condition = numbers(3, [size]).map((value) => Number(value > 0));
    const out = tf.where(tf.tensor1d(condition, 'bool'), tf.tensor1d(a), tf.tensor1d(b));
    expectSame(
      out.dataSync(),
      a.map((value, i) => (condition[i] ? value : b[i]!)),
    );
  });

  it('a condition with one value, or one per row, is broadcast', async () => {
    const [wasm, cpu] = await onBoth(() => {
      const [a, b] = [tf.tensor2d(numbers(1, [12]), [3, 4]), tf.tensor2d(numbers(2, [12]), [3, 4])];
      const rows = tf.tensor2d([1, 0, 1], [3, 1], 'bool');
      return [tf.where(tf.scalar(true, 'bool'), a, b), tf.where(tf.scalar(false, 'bool'), a, b), tf.where(rows, a, b)];
    });
    expect(wasm).toEqual(cpu);
  });

  it.each(sizes)('cast converts bool and int32 to float32, size %i', (size) => {
    const whole = Int32Array.from(numbers(1, [size]), (value) => value * 2 ** 31);
    const truth = whole.map((value) => Number(value > 0));
    expectSame(tf.cast(tf.tensor1d(whole, 'int32'), 'float32').dataSync(), Float32Array.from(whole));
    expectSame(tf.cast(tf.tensor1d(truth, 'bool'), 'float32').dataSync(), truth);
  });

  it('cast to bool is true for every number except 0', () => {
    const each = tf.tensor1d([0.5, -0.2, 256, 0, -0, Number.NaN]);
    expect([...tf.cast(each, 'bool').dataSync()]).toEqual([1, 1, 1, 0, 0, 1]);
    expect([...tf.cast(tf.tensor1d([3, 0, 256], 'int32'), 'bool').dataSync()]).toEqual([1, 0, 1]);
  });

  it('the stock kernel computes other conversions', () => {
    expect([...tf.cast(tf.tensor1d([1.5, -2.5]), 'int32').dataSync()]).toEqual([1, -2]);
  });
});

describe('copies by reference', () => {
  const buffers = () => (tf.backend() as unknown as { numDataIds(): number }).numDataIds();

  it.each<[string, (x: tf.Tensor) => tf.Tensor]>([
    ['clone', tf.clone],
    ['a cast to the same type', (x) => tf.cast(x, 'float32')],
    ['the sum of one', (x) => tf.addN([x])],
  ])('%s remains after the other is disposed of, and the last one frees the values', (_, copy) => {
    const before = buffers();
    for (const firstGoesFirst of [true, false]) {
      const x = tf.tensor1d([1, 2, 3]);
      const y = copy(x);
      expect(buffers()).toBe(before + 1);
      const [gone, left] = firstGoesFirst ? [x, y] : [y, x];
      gone.dispose();
      expect([...left.dataSync()]).toEqual([1, 2, 3]);
      left.dispose();
      expect(buffers()).toBe(before);
    }
  });

  it('a variable shares the values of a tensor, and each remains without the other', () => {
    const before = buffers();
    const x = tf.tensor1d([1, 2]);
    const variable = tf.variable(x);
    const old = tf.clone(variable);
    const next = tf.tidy(() => tf.add<tf.Tensor1D>(variable, 1));
    variable.assign(next);
    next.dispose();
    x.dispose();
    expect([...variable.dataSync()]).toEqual([2, 3]);
    expect([...old.dataSync()]).toEqual([1, 2]);
    variable.assign(old);
    old.dispose();
    expect([...variable.dataSync()]).toEqual([1, 2]);
    variable.dispose();
    expect(buffers()).toBe(before);
  });

  it('a string tensor can be copied', () => {
    expect(tf.clone(tf.tensor1d(['a', 'b'])).dataSync()).toEqual(['a', 'b']);
  });
});

describe('the gradient of ReLU', () => {
  const gradient = (x: tf.Tensor, dy: tf.Tensor) => tf.grad((t: tf.Tensor) => tf.relu(t))(x, dy);

  it('is ∂y where x > 0, in one kernel, and propagates NaN', async () => {
    for (const size of sizes.slice(1)) {
      const [x, dy] = [mixed(size, 1), mixed(size, 5)];
      const [[wasm], [cpu]] = await onBoth(() => [gradient(tf.tensor1d(x), tf.tensor1d(dy))]);
      expectSame(wasm!, cpu!);
    }
    const { kernelNames } = await tf.profile(() => gradient(tf.tensor1d([1, -1]), tf.tensor1d([2, 2])));
    expect(kernelNames).toContain('GhlReluGrad');
    expect(kernelNames).not.toContain('Step');
  });

  it('has a gradient', async () => {
    const [[wasm], [cpu]] = await onBoth(() => {
      const slope = (x: tf.Tensor) => tf.sum(tf.square(tf.grad((t: tf.Tensor) => tf.sum(tf.square(tf.relu(t))))(x)));
      return [tf.grad(slope)(tf.tensor1d(numbers(1, [9])))];
    });
    expect(wasm).toEqual(cpu);
  });

  it('is that of TensorFlow.js after deactivate()', async () => {
    const ours = tf.getGradient(tf.Relu);
    await deactivate();
    try {
      expect(tf.getGradient(tf.Relu)).not.toBe(ours);
      expect(tf.getGradient(tf.Relu).inputsToSave).toEqual(['x']);
      expect(tf.getGradient('GhlReluGrad')).toBeUndefined();
      await tf.setBackend('cpu');
      expect([...gradient(tf.tensor1d([1, -1]), tf.tensor1d([2, 2])).dataSync()]).toEqual([2, 0]);
    } finally {
      await activate({ threads: 2 });
    }
  });
});
