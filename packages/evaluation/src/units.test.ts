/** Dead units, winners and weight norms, on networks whose answer is known. */
import * as tf from '@tensorflow/tfjs-core';
import { layers, sequential } from '@tensorflow/tfjs-layers';
import '@tensorflow/tfjs-backend-cpu';
import { describe, expect, it } from 'vitest';
import { deadUnits, weightNorms, winnerEntropy } from './index.js';
import { identity, inScope, nested, smallNetwork } from './models.fixture.js';

inScope();

/** Unit i of a convolution is above 0 only where the pixel's colour is i. */
function detectors(colours: number) {
  const eye = Array.from({ length: colours }, (_, i) => Array.from({ length: colours }, (_, j) => Number(i === j)));
  return sequential({
    layers: [
      layers.conv2d({
        name: 'detectors',
        filters: colours,
        kernelSize: 1,
        activation: 'relu',
        inputShape: [2, 3, colours],
        weights: [tf.tensor4d([[eye]]), tf.fill([colours], -0.5)],
      }),
    ],
  });
}

/** Images of 2×3 pixels, a colour each. */
const painted = (colours: number, ...images: number[][]) =>
  tf.reshape(tf.oneHot(tf.tensor1d(images.flat(), 'int32'), colours), [-1, 2, 3, colours]) as tf.Tensor4D;

describe('deadUnits', () => {
  it('names the units whose pattern no example contains', async () => {
    const xs = tf.cast(painted(4, [0, 0, 0, 0, 0, 3], [0, 3, 3, 3, 3, 3]), 'float32');
    expect(await deadUnits(detectors(4), 'detectors', { examples: { xs } })).toEqual({ share: 0.5, units: [1, 2] });
  });

  it('counts a unit as alive if one batch of several excites it', async () => {
    const xs = tf.cast(painted(3, [0, 0, 0, 0, 0, 0], [1, 1, 1, 1, 1, 1], [0, 0, 0, 0, 0, 0]), 'float32');
    const dead = await deadUnits(detectors(3), 'detectors', { examples: { xs }, batchSize: 1 });
    expect(dead.units).toEqual([2]);
  });

  it('compares with a threshold that the output must exceed', async () => {
    const xs = tf.tensor2d([[1, 2, 3]]);
    const dead = (threshold: number) => deadUnits(identity([3]), 'same', { examples: { xs }, threshold });
    expect((await dead(2)).units).toEqual([0, 1]);
    expect((await dead(-1)).units).toEqual([]);
  });

  it('counts a unit that outputs NaN only as dead', async () => {
    const xs = tf.tensor2d([[Number.NaN, 1]]);
    expect((await deadUnits(identity([2]), 'same', { examples: { xs } })).units).toEqual([0]);
  });
});

describe('winnerEntropy', () => {
  const entropy = (rows: number[][], options = {}) =>
    winnerEntropy(identity([rows[0]!.length]), 'same', { examples: { xs: tf.tensor2d(rows) }, ...options });

  it('is 1 if all units win equally often', async () => {
    const xs = tf.cast(painted(3, [0, 1, 2, 0, 1, 2]), 'float32');
    const { entropy: value, shares, positions } = await winnerEntropy(detectors(3), 'detectors', { examples: { xs } });
    expect(value).toBeCloseTo(1, 12);
    expect(shares).toBeAllClose([1 / 3, 1 / 3, 1 / 3]);
    expect(positions).toBe(6);
  });

  it('is 0 if one unit wins everywhere', async () => {
    expect(
      await entropy([
        [2, 1],
        [0, -1],
      ]),
    ).toEqual({ entropy: 0, shares: [1, 0], positions: 2 });
  });

  it('shares a position equally among units that tie', async () => {
    expect(
      (
        await entropy([
          [1, 1, 0],
          [0, 0, 5],
        ])
      ).shares,
    ).toEqual([0.25, 0.25, 0.5]);
    const three = await entropy(
      Array.from({ length: 7 }, () => [1, 1, 1, 0]),
      { batchSize: 2 },
    );
    expect(three.positions).toBe(7);
    expect(three.shares).toBeAllClose([1 / 3, 1 / 3, 1 / 3, 0], { rtol: 1e-6 });
  });

  it('leaves out positions without a winner, and is NaN without any', async () => {
    expect(
      await entropy([
        [0, 0],
        [1, 0],
        [Number.NaN, 0],
      ]),
    ).toMatchObject({ shares: [1, 0], positions: 1 });
    expect(await entropy([[0, 0]])).toEqual({ entropy: Number.NaN, shares: [0, 0], positions: 0 });
  });

  it('counts the winners of a convolution as a loop over positions does', async () => {
    const model = smallNetwork();
    const xs = tf.tensor4d(nested(3, [5, 8, 8, 1]));
    const { entropy: value, shares } = await winnerEntropy(model, 'conv1', { examples: { xs }, batchSize: 2 });
    const y = (model.layers[0]!.apply(xs) as tf.Tensor4D).arraySync().flat(2);
    const counts = [0, 1, 2, 3].map((k) => y.filter((row) => row.indexOf(Math.max(...row)) === k).length / y.length);
    expect(shares).toBeAllClose(counts, { rtol: 1e-6 });
    expect(value).toBeCloseTo(-counts.reduce((sum, p) => sum + (p && p * Math.log(p)), 0) / Math.log(4), 6);
  });
});

describe('weightNorms', () => {
  const normsOf = async (layer: layers.Layer) => {
    const model = sequential({ layers: [layer] });
    const { norms } = await weightNorms(model, layer.name);
    return norms;
  };

  it('has a norm for each column of a kernel of [fan-in, units]', async () => {
    const values = nested(1, [3, 2, 4, 5]);
    const expected = [0, 1, 2, 3, 4].map((k) => Math.hypot(...values.flat(2).map((row: number[]) => row[k]!)));
    const weights = [tf.tensor4d(values)];
    const conv = { filters: 5, kernelSize: [3, 2], inputShape: [6, 6, 4], useBias: false };
    expect(await normsOf(layers.conv2d({ ...conv, weights }))).toBeAllClose(expected, { rtol: 1e-6 });
  });

  it('has a norm for each pair of input channel and multiplier of a depthwise kernel', async () => {
    const values = nested(2, [2, 2, 3, 2]);
    const expected = [0, 1, 2].flatMap((c) =>
      [0, 1].map((m) => Math.hypot(...values.flat().map((row: number[][]) => row[c]![m]!))),
    );
    const weights = [tf.tensor4d(values)];
    const depthwise = { kernelSize: 2, depthMultiplier: 2, inputShape: [4, 4, 3], useBias: false };
    expect(await normsOf(layers.depthwiseConv2d({ ...depthwise, weights }))).toBeAllClose(expected, { rtol: 1e-6 });
  });

  it('summarises the distribution', async () => {
    const weights = [tf.tensor2d([[1, 4, -2, 9]])];
    const model = sequential({
      layers: [layers.dense({ name: 'd', units: 4, inputShape: [1], useBias: false, weights })],
    });
    expect(await weightNorms(model, 'd')).toEqual({ norms: [1, 4, 2, 9], min: 1, median: 3, mean: 4, max: 9 });
  });

  it('does not overflow or vanish for weights at the ends of float32', async () => {
    const weights = [
      tf.tensor2d([
        [3e30, 3e-30],
        [4e30, 4e-30],
      ]),
    ];
    const norms = await normsOf(layers.dense({ units: 2, inputShape: [2], useBias: false, weights }));
    expect(norms).toBeAllClose([5e30, 5e-30], { rtol: 1e-6, atol: 0 });
  });

  it('rejects a layer without a kernel', async () => {
    await expect(weightNorms(identity([2]), 'same')).rejects.toMatchObject({ code: 'UNSUPPORTED_LAYER' });
  });
});
