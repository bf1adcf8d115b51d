import '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import { initializers, layers, sequential } from '@tensorflow/tfjs-layers';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type UnitNormConv2dOptions, unitNormConv2d } from './unit-norm-conv.js';

beforeAll(async () => {
  await tf.setBackend('cpu');
});
beforeEach(() => tf.engine().startScope());
afterEach(() => {
  tf.engine().endScope();
  tf.disposeVariables();
});

const SHAPE = [2, 4, 4, 2] as const;
const x = () => tf.randomNormal([...SHAPE], 0, 1, 'float32', 1);
const options = { filters: 3, kernelSize: 2, kernelInitializer: initializers.randomNormal({ stddev: 2, seed: 5 }) };

/** Σ c ⊙ z of z = x·w / (‖w‖ + 1e-6) in float64, for a 2×2 kernel without padding. */
function loss(xs: ArrayLike<number>, ws: ArrayLike<number>, cs: ArrayLike<number>): number {
  let sum = 0;
  for (let k = 0; k < 3; k++) {
    let square = 0;
    for (let d = 0; d < 8; d++) square += ws[d * 3 + k]! ** 2;
    for (let p = 0; p < 18; p++) {
      const [b, i, j] = [Math.floor(p / 9), Math.floor(p / 3) % 3, p % 3];
      let y = 0;
      for (let d = 0; d < 8; d++) {
        const at = ((b * 4 + i + (d >> 2)) * 4 + j + ((d >> 1) & 1)) * 2 + (d & 1);
        y += xs[at]! * ws[d * 3 + k]!;
      }
      sum += (cs[p * 3 + k]! * y) / (Math.sqrt(square) + 1e-6);
    }
  }
  return sum;
}

const slopes = (values: ArrayLike<number>, f: (values: Float64Array) => number) => {
  const at = Float64Array.from(values);
  return Array.from(at, (value, i) => {
    const [up, down] = [1e-5, -1e-5].map((step) => {
      at[i] = value + step;
      return f(at);
    });
    at[i] = value;
    return (up! - down!) / 2e-5;
  });
};

describe('unitNormConv2d', () => {
  it('has the value and the gradients of a float64 oracle, orthogonal to each unit', () => {
    const layer = unitNormConv2d(options);
    const input = x();
    layer.apply(input);
    const c = tf.randomNormal([2, 3, 3, 3], 0, 1, 'float32', 7);
    const kernel = layer.trainableWeights[0]!.read() as tf.Variable;
    const f = (t: tf.Tensor) => tf.sum(tf.mul(layer.apply(t) as tf.Tensor, c)) as tf.Scalar;
    const [xs, ws, cs] = [input.dataSync(), kernel.dataSync(), c.dataSync()];
    expect(f(input).dataSync()[0]).toBeCloseTo(loss(xs, ws, cs), 4);
    const gradient = tf.variableGrads(() => f(input), [kernel]).grads[kernel.name]!;
    expect(gradient.dataSync()).toBeAllClose(
      slopes(ws, (w) => loss(xs, w, cs)),
      { rtol: 1e-3, atol: 1e-4 },
    );
    expect(tf.grad(f)(input).dataSync()).toBeAllClose(
      slopes(xs, (t) => loss(t, ws, cs)),
      { rtol: 1e-3, atol: 1e-4 },
    );
    const along = tf.sum(tf.mul(gradient, kernel), [0, 1, 2]);
    expect(along).toBeAllClose([0, 0, 0], { atol: 1e-4 });
  });

  it('computes the same for a unit of any length', () => {
    const layer = unitNormConv2d(options);
    const z = layer.apply(x()) as tf.Tensor;
    const [kernel] = layer.getWeights();
    layer.setWeights([tf.mul(kernel!, [0.1, 1, 30])]);
    expect(layer.apply(x()) as tf.Tensor).toBeAllClose(z, { rtol: 1e-5, atol: 1e-5 });
  });

  it('is finite for a unit without weights, and so is its gradient', () => {
    const layer = unitNormConv2d({ ...options, kernelInitializer: 'zeros' });
    const input = x();
    expect(tf.max(tf.abs(layer.apply(input) as tf.Tensor)).dataSync()[0]).toBe(0);
    const kernel = layer.trainableWeights[0]!.read() as tf.Variable;
    const { grads } = tf.variableGrads(() => tf.sum(layer.apply(input) as tf.Tensor), [kernel]);
    expect([...grads[kernel.name]!.dataSync()].every(Number.isFinite)).toBe(true);
  });

  it('leaves the names of other layers alone, and stores no activation', () => {
    expect(layers.conv2d({ filters: 1, kernelSize: 1 }).name).toMatch(/^conv2d_Conv2D\d+$/);
    const model = sequential({ layers: [unitNormConv2d({ ...options, name: 'unit', inputShape: [4, 4, 2] })] });
    expect(model.getLayer('unit').getConfig()).toMatchObject({ activation: 'linear', useBias: false, filters: 3 });
    expect(model.countParams()).toBe(24);
  });

  it.each([[{ activation: 'relu' }], [{ useBias: true }], [{ filter: 3 }]])('rejects %j', (extra) => {
    expect(() => unitNormConv2d({ ...options, ...extra } as UnitNormConv2dOptions)).toThrow(
      expect.objectContaining({ code: 'UNKNOWN_OPTION' }),
    );
  });
});
