import '@tensorflow/tfjs-backend-cpu';
import { chain, gradientDescent, local, maxAbs, scaleBy, threeFactor } from '@ghl/core';
import { sign } from '@ghl/modulator-sign';
import { swta } from '@ghl/rule-swta';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { beforeAll, describe, expect, it } from 'vitest';
import { type Assignment, layerwise, plasticOptimizer } from './index.js';
import { own, random } from './model.fixture.js';
import { MovingMean } from './moving-mean.fixture.js';

beforeAll(async () => {
  await tf.setBackend('cpu');
});

const rest = chain(gradientDescent(), scaleBy(0.1));
const hebb = chain(local(maxAbs(swta())), scaleBy(0.1));
const ghl = chain(threeFactor(maxAbs(swta()), sign()), scaleBy(0.1));

const useBias = false;

function net(): tfl.LayersModel {
  return own(
    tfl.sequential({
      layers: [
        tfl.layers.batchNormalization({ name: 'bn1', inputShape: [5, 5, 2] }),
        tfl.layers.conv2d({ name: 'conv1', filters: 3, kernelSize: 2, useBias }),
        tfl.layers.activation({ activation: 'relu', name: 'relu1' }),
        new MovingMean({ name: 'norm2' }),
        tfl.layers.conv2d({ name: 'conv2', filters: 3, kernelSize: 2, useBias }),
        tfl.layers.activation({ activation: 'relu', name: 'relu2' }),
        tfl.layers.batchNormalization({ name: 'bn3' }),
        tfl.layers.flatten({ name: 'flatten' }),
        tfl.layers.dense({ name: 'out', units: 3 }),
        tfl.layers.activation({ activation: 'softmax', name: 'softmax' }),
      ],
    }),
  );
}

const weightsOf = (model: tfl.LayersModel) =>
  Object.fromEntries(
    model.layers.map((layer) => [
      layer.name,
      JSON.stringify(layer.getWeights().map((each) => Array.from(each.dataSync()))),
    ]),
  );

/** Takes one step of each phase, and returns the layers that changed, including moving statistics. */
function moved(model: tfl.LayersModel, phases: readonly Assignment[]): string[][] {
  const x = random([4, 5, 5, 2], 1);
  return phases.map((phase) => {
    const before = weightsOf(model);
    const optimizer = own(plasticOptimizer(model, phase));
    optimizer.minimize(() => tf.mean(tf.square(model.apply(x, { training: true }) as tf.Tensor)) as tf.Scalar);
    const after = weightsOf(model);
    return Object.keys(after).filter((name) => after[name] !== before[name]);
  });
}

describe('layerwise', () => {
  it('trains one layer per phase, and the batch norm between it and the previous one', () => {
    const model = net();
    const phases = layerwise(model, { out: rest, conv2: hebb, conv1: hebb, '*': rest });
    expect(moved(model, phases)).toEqual([
      ['bn1', 'conv1'],
      ['norm2', 'conv2'],
      ['bn3', 'out'],
    ]);
  });

  it('keeps layers without a selector frozen', () => {
    const model = net();
    const phases = layerwise(model, { conv1: hebb, out: rest, '*': rest });
    expect(moved(model, phases)).toEqual([
      ['bn1', 'conv1'],
      ['norm2', 'conv2', 'bn3', 'out'],
    ]);
    expect(moved(model, layerwise(model, { conv1: hebb, conv2: null, out: rest, '*': rest }))).toEqual([
      ['bn1', 'conv1'],
      ['norm2'],
      ['bn3', 'out'],
    ]);
  });

  it('updates statistics between the layers without a selector for them', () => {
    const model = own(
      tfl.sequential({
        layers: [
          tfl.layers.conv2d({ name: 'conv1', filters: 3, kernelSize: 2, useBias, inputShape: [5, 5, 2] }),
          new MovingMean({ name: 'norm2' }),
          tfl.layers.conv2d({ name: 'conv2', filters: 3, kernelSize: 2, useBias }),
          tfl.layers.flatten({ name: 'flatten' }),
          new MovingMean({ name: 'norm3' }),
          tfl.layers.dense({ name: 'out', units: 3 }),
        ],
      }),
    );
    expect(moved(model, layerwise(model, { conv1: hebb, conv2: ghl, out: rest }))).toEqual([
      ['conv1'],
      ['norm2', 'conv2'],
      ['norm3', 'out'],
    ]);
  });

  it("moves a bias by '*', as the other weights of its phase", () => {
    const model = own(
      tfl.sequential({
        layers: [
          tfl.layers.dense({ name: 'first', units: 3, inputShape: [5, 5, 2] }),
          tfl.layers.flatten({ name: 'flatten' }),
          tfl.layers.dense({ name: 'out', units: 3 }),
        ],
      }),
    );
    const bias = () => Array.from((model.getLayer('first').getWeights()[1] as tf.Tensor).dataSync());
    const before = bias();
    const [first, second] = layerwise(model, { first: hebb, out: rest, '*': rest }) as [Assignment, Assignment];
    moved(model, [first]);
    const after = bias();
    expect(after).not.toEqual(before);
    moved(model, [second]);
    expect(bias()).toEqual(after);
    expect(() => moved(model, layerwise(model, { first: hebb, out: rest }))).toThrow(
      expect.objectContaining({ code: 'UNCLAIMED_WEIGHT' }),
    );
  });

  it('includes the layers of nested models', () => {
    const inner = tfl.sequential({
      name: 'inner',
      layers: [
        tfl.layers.conv2d({ name: 'conv1', filters: 3, kernelSize: 2, useBias, inputShape: [5, 5, 2] }),
        tfl.layers.conv2d({ name: 'conv2', filters: 3, kernelSize: 2, useBias }),
      ],
    });
    const model = own(
      tfl.sequential({ layers: [inner, tfl.layers.flatten(), tfl.layers.dense({ name: 'out', units: 3 })] }),
    );
    const phases = layerwise(model, { 'inner/conv1': hebb, 'inner/conv2': hebb, out: rest });
    const kernels = () => inner.getWeights().map((each) => JSON.stringify(Array.from(each.dataSync())));
    const before = kernels();
    moved(model, phases.slice(0, 1));
    const between = kernels();
    expect([between[0] === before[0], between[1] === before[1]]).toEqual([false, true]);
    moved(model, phases.slice(1, 2));
    const after = kernels();
    expect([after[0] === between[0], after[1] === between[1]]).toEqual([true, false]);
  });

  it('trains the layers after the last selected layer in its phase', () => {
    const model = own(
      tfl.sequential({
        layers: [
          tfl.layers.dense({ name: 'first', units: 3, useBias, inputShape: [5, 5, 2] }),
          tfl.layers.dense({ name: 'out', units: 3, useBias }),
          new MovingMean({ name: 'norm' }),
        ],
      }),
    );
    expect(moved(model, layerwise(model, { first: hebb, out: rest }))).toEqual([['first'], ['out', 'norm']]);
  });

  it('propagates the gradient through frozen upper layers, which run in inference mode', () => {
    const model = net();
    expect(moved(model, layerwise(model, { conv1: ghl, conv2: ghl, out: rest, '*': rest }))[0]).toEqual([
      'bn1',
      'conv1',
    ]);
  });

  it('rejects selectors that are not layers', () => {
    const model = net();
    for (const label of ['conv3', 'conv1/kernel', 'conv*']) {
      expect(() => layerwise(model, { [label]: hebb, '*': rest })).toThrow(
        expect.objectContaining({ code: 'UNKNOWN_LAYER' }),
      );
    }
  });
});
