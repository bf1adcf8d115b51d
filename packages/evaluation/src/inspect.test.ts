import * as tf from '@tensorflow/tfjs-core';
import {
  input,
  type LayersModel,
  layers,
  model as modelOf,
  type SymbolicTensor,
  sequential,
} from '@tensorflow/tfjs-layers';
import '@tensorflow/tfjs-backend-cpu';
import { beforeEach, expect, it } from 'vitest';
import { deadUnits, inspect, linearProbe, nearestNeighbours, topPatches, weightNorms, winnerEntropy } from './index.js';
import { inScope, nested, oneHot, smallNetwork } from './models.fixture.js';

let model: LayersModel;

inScope();
beforeEach(() => {
  model = smallNetwork();
});

const examples = (seed: number, count: number) => ({
  xs: tf.tensor4d(nested(seed, [count, 8, 8, 1])),
  ys: oneHot(
    Array.from({ length: count }, (_, i) => (i * i) % 3),
    3,
  ),
});

it('measures every layer with a kernel as the single functions do', async () => {
  const [train, test] = [examples(1, 14), examples(2, 11)];
  const inspection = await inspect(model, { train, test, batchSize: 8, patchUnits: 2 });
  expect(Object.keys(inspection)).toEqual(['conv1', 'conv2', 'head']);
  for (const layer of ['conv1', 'conv2', 'head']) {
    const { patches, ...numbersOfLayer } = inspection[layer]!;
    const activation = layer === 'conv1' ? 'relu1' : layer;
    expect(numbersOfLayer).toEqual({
      activation,
      norms: await weightNorms(model, layer),
      dead: await deadUnits(model, activation, { examples: test, batchSize: 8 }),
      winners: await winnerEntropy(model, layer, { examples: test, batchSize: 8 }),
      probe: await linearProbe(model, activation, { train, test, batchSize: 8 }),
      neighbours: await nearestNeighbours(model, activation, { train, test, batchSize: 8 }),
    });
    const expected = layer === 'head' ? null : await topPatches(model, layer, { examples: test, units: [0, 1] });
    expect(patches).toEqual(expected);
  }
});

it('reads a dataset batch by batch, disposes of its batches, and reports them', async () => {
  const { xs, ys } = examples(1, 7);
  let alive = 0;
  const dataset = {
    async iterator() {
      let at = 0;
      return {
        async next() {
          if (at >= 7) return { done: true as const, value: undefined };
          const size = Math.min(3, 7 - at);
          const value = { xs: tf.slice(xs, at, size), ys: tf.slice(ys, at, size) };
          at += size;
          alive = tf.memory().numTensors;
          return { done: false as const, value };
        },
      };
    },
  };
  const counts: number[] = [];
  const before = tf.memory().numTensors;
  const streamed = await inspect(model, { train: dataset, test: dataset, onBatch: (count) => void counts.push(count) });
  expect(counts).toEqual([3, 6, 7, 3, 6, 7]);
  expect(tf.memory().numTensors).toBe(before);
  expect(alive).toBeLessThan(before + 40);
  expect(streamed).toEqual(await inspect(model, { train: { xs, ys }, test: { xs, ys }, batchSize: 3 }));
});

it('leaves layers and weights unchanged, and no tensor, also after an error', async () => {
  const data = examples(1, 6);
  const calls = model.layers.map((layer) => Object.getOwnPropertyDescriptor(layer, 'call'));
  const weights = model.getWeights().map((weight) => [...weight.dataSync()]);
  const before = tf.memory().numTensors;
  const fail = () => {
    throw new Error('stop');
  };
  await expect(inspect(model, { train: data, test: data, onBatch: fail })).rejects.toThrow('stop');
  await expect(inspect(model, { train: { ...data, xs: tf.zeros([6, 12, 8, 1]) }, test: data })).rejects.toThrow();
  await inspect(model, { train: data, test: data });
  expect(tf.memory().numTensors).toBe(before + 1); // the zeros
  expect(model.layers.map((layer) => Object.getOwnPropertyDescriptor(layer, 'call'))).toEqual(calls);
  expect(model.getWeights().map((weight) => [...weight.dataSync()])).toEqual(weights);
});

it('measures layers of nested models, layers without a kernel, and the input', async () => {
  const image = input({ shape: [8, 8, 1], name: 'image' });
  const inner = sequential({
    name: 'inner',
    layers: [layers.conv2d({ name: 'conv', filters: 3, kernelSize: 3, inputShape: [8, 8, 1] })],
  });
  const outer = modelOf({
    inputs: image,
    outputs: layers.reLU({ name: 'relu' }).apply(inner.apply(image)) as SymbolicTensor,
  });
  const data = examples(1, 6);
  const inspection = await inspect(outer, { train: data, test: data, layers: ['inner/conv', 'relu', 'image'] });
  expect(inspection['inner/conv']?.patches?.units[0]?.patches[0]?.box).toMatchObject({ height: 3, width: 3 });
  expect(inspection['inner/conv']).toMatchObject({ activation: 'inner/conv', probe: { features: 12 } });
  expect(inspection.relu?.norms).toBeNull();
  expect(inspection.image?.probe.features).toBe(4);
});

it('rejects a layer that is used twice, and one with channels first', async () => {
  const x = input({ shape: [3] });
  const shared = layers.dense({ name: 'shared', units: 3 });
  const twice = modelOf({ inputs: x, outputs: shared.apply(shared.apply(x)) as SymbolicTensor });
  const data = { xs: tf.zeros([2, 3]), ys: oneHot([0, 1], 2) };
  await expect(inspect(twice, { train: data, test: data })).rejects.toMatchObject({ code: 'UNSUPPORTED_LAYER' });
  expect(Object.hasOwn(shared, 'call')).toBe(false);
});
