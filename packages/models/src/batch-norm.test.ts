import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import { layers, sequential } from '@tensorflow/tfjs-layers';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type BatchNormOptions, batchNorm } from './batch-norm.js';

beforeAll(async () => {
  await tf.setBackend('cpu');
});
beforeEach(() => tf.engine().startScope());
afterEach(() => {
  tf.engine().endScope();
  tf.disposeVariables();
});

const epsilon = 1e-5;

/** y, ∂L/∂x of L = Σ c ⊙ y, and the batch's statistics, in float64. */
function oracle(x: ArrayLike<number>, c: ArrayLike<number>, channels: number) {
  const P = x.length / channels;
  const y = new Float64Array(x.length);
  const dx = new Float64Array(x.length);
  const mean = new Float64Array(channels);
  const variance = new Float64Array(channels);
  for (let k = 0; k < channels; k++) {
    for (let p = 0; p < P; p++) mean[k]! += x[p * channels + k]! / P;
    for (let p = 0; p < P; p++) variance[k]! += (x[p * channels + k]! - mean[k]!) ** 2 / P;
    const s = Math.sqrt(variance[k]! + epsilon);
    // The Jacobian written out, ∂y_p/∂x_q = (δ_pq − 1/P)/s − (x_p − μ)(x_q − μ)/(P s³): no closed form shared with the
    // code.
    for (let p = 0; p < P; p++) y[p * channels + k] = (x[p * channels + k]! - mean[k]!) / s;
    for (let q = 0; q < P; q++) {
      for (let p = 0; p < P; p++) {
        const jacobian =
          ((p === q ? 1 : 0) - 1 / P) / s -
          ((x[p * channels + k]! - mean[k]!) * (x[q * channels + k]! - mean[k]!)) / (P * s ** 3);
        dx[q * channels + k]! += c[p * channels + k]! * jacobian;
      }
    }
  }
  return { y, dx, mean, variance, positions: P };
}

/** The formula in plain tfjs operations, for autodiff. */
function composed(x: tf.Tensor): tf.Tensor {
  const axes = x.shape.slice(0, -1).map((_, axis) => axis);
  const { mean, variance } = tf.moments(x, axes);
  return tf.div(tf.sub(x, mean), tf.sqrt(tf.add(variance, epsilon)));
}

const expectClose = (actual: tf.Tensor, expected: ArrayLike<number>, tolerance: number) =>
  expect(actual.dataSync()).toBeAllClose(expected, { rtol: tolerance, atol: tolerance });

const apply = (layer: layers.Layer, x: tf.Tensor, training: boolean) => layer.apply(x, { training }) as tf.Tensor;

describe.each([[[4, 3, 5, 2]], [[6, 7]], [[3, 4, 2]], [[1, 4, 4, 3]], [[2, 2, 2, 2, 3]]])('on shape %j', (shape) => {
  const x = () => tf.randomNormal(shape, 3, 2, 'float32', 11);
  const c = () => tf.randomNormal(shape, 0, 1, 'float32', 12);

  it('gives output, gradient and statistics of a float64 oracle', () => {
    const layer = batchNorm({ momentum: 0.8 });
    const [input, cotangent] = [x(), c()];
    const channels = shape.at(-1)!;
    const expected = oracle(input.dataSync(), cotangent.dataSync(), channels);
    expectClose(apply(layer, input, true), expected.y, 2e-6);
    const gradient = tf.grad((t: tf.Tensor) => tf.sum(tf.mul(apply(layer, t, true), cotangent)))(input);
    expectClose(gradient, expected.dx, 5e-6);
    const P = expected.positions;
    const [movingMean, movingVariance] = layer.getWeights() as [tf.Tensor, tf.Tensor];
    const kept = 0.8 ** 2; // two calls have trained it
    expectClose(
      movingMean,
      expected.mean.map((m) => (1 - kept) * m),
      1e-6,
    );
    expectClose(
      movingVariance,
      expected.variance.map((v) => kept + ((1 - kept) * v * P) / (P - 1)),
      1e-6,
    );
  });

  it('agrees with autodiff of the composed formula, with scale and shift too', () => {
    const layer = batchNorm({ center: true, scale: true });
    const [input, cotangent] = [x(), c()];
    layer.build(shape);
    const channels = shape.at(-1)!;
    const [gamma, beta] = [
      tf.randomUniform([channels], 0.5, 2, 'float32', 3),
      tf.randomNormal([channels], 0, 1, 'float32', 4),
    ];
    layer.setWeights([gamma, beta, tf.zeros([channels]), tf.ones([channels])]);
    const loss = (y: tf.Tensor) => tf.sum(tf.mul(tf.square(y), cotangent)) as tf.Scalar;
    const ours = tf.valueAndGrads((t: tf.Tensor) => loss(apply(layer, t, true)))([input]);
    const theirs = tf.valueAndGrads((t: tf.Tensor, g: tf.Tensor, b: tf.Tensor) =>
      loss(tf.add(tf.mul(composed(t), g), b)),
    )([input, gamma, beta]);
    expectClose(ours.value, theirs.value.dataSync(), 1e-5);
    expectClose(ours.grads[0]!, theirs.grads[0]!.dataSync(), 1e-5);
    const variables = layer.trainableWeights.map((weight) => weight.read() as tf.Variable);
    const { grads } = tf.variableGrads(() => loss(apply(layer, input, true)), variables);
    expectClose(grads[variables[0]!.name]!, theirs.grads[1]!.dataSync(), 1e-5);
    expectClose(grads[variables[1]!.name]!, theirs.grads[2]!.dataSync(), 1e-5);
  });
});

describe('batchNorm', () => {
  it('uses the moving statistics at inference, and does not change them', () => {
    const layer = batchNorm();
    layer.build([null, 2]);
    layer.setWeights([tf.tensor1d([1, -1]), tf.tensor1d([4, 9])]);
    const y = apply(layer, tf.tensor2d([[3, 2]]), false);
    expectClose(y, [2 / Math.sqrt(4 + epsilon), 3 / Math.sqrt(9 + epsilon)], 1e-6);
    expect([...layer.getWeights()[0]!.dataSync(), ...layer.getWeights()[1]!.dataSync()]).toEqual([1, -1, 4, 9]);
  });

  it('behaves as at inference while frozen', () => {
    const layer = batchNorm({ trainable: false });
    const x = tf.randomNormal([8, 3], 5, 2, 'float32', 1);
    const y = apply(layer, x, true);
    expect(y.dataSync()).toEqual(apply(layer, x, false).dataSync());
    expect([...layer.getWeights()[0]!.dataSync()]).toEqual([0, 0, 0]);
  });

  it('keeps the moving variance if there is only one position', () => {
    const layer = batchNorm();
    const y = apply(layer, tf.tensor2d([[3, -2]]), true);
    expect([...y.dataSync()]).toEqual([0, 0]);
    const [mean, variance] = layer.getWeights();
    expectClose(mean!, [0.3, -0.2], 1e-6);
    expect([...variance!.dataSync()]).toEqual([1, 1]);
  });

  it('is finite on a constant input and its gradient', () => {
    const layer = batchNorm();
    const gradient = tf.grad((t: tf.Tensor) => tf.sum(tf.square(apply(layer, t, true))))(tf.fill([4, 4, 4, 2], 7));
    expect([...gradient.dataSync()].every(Number.isFinite)).toBe(true);
  });

  it('has a name for each weight and trains only scale and shift', () => {
    const layer = batchNorm({ name: 'norm', center: true, scale: true });
    apply(layer, tf.ones([2, 4, 4, 5]), false);
    expect(layer.trainableWeights.map((weight) => weight.originalName)).toEqual(['norm/gamma', 'norm/beta']);
    expect(layer.nonTrainableWeights.map((weight) => weight.originalName)).toEqual([
      'norm/moving_mean',
      'norm/moving_variance',
    ]);
  });

  it('can be the first layer, with an input shape', () => {
    const model = sequential({ layers: [batchNorm({ inputShape: [4, 4, 3] }), layers.flatten()] });
    expect(model.outputs[0]!.shape).toEqual([null, 48]);
  });

  it.each<[BatchNormOptions, string]>([
    [{ epsilon: 0 }, 'BAD_VALUE'],
    [{ momentum: 1.5 }, 'BAD_VALUE'],
    [{ center: 1 as unknown as boolean }, 'BAD_VALUE'],
    [{ epsilom: 1 } as BatchNormOptions, 'UNKNOWN_OPTION'],
  ])('rejects %j', (options, code) => {
    expect(() => batchNorm(options)).toThrow(expect.objectContaining({ code: code }));
  });

  it('rejects a last axis of unknown size', () => {
    expect(() => batchNorm().build([null, null])).toThrow(expect.objectContaining({ code: 'UNKNOWN_CHANNELS' }));
  });
});
