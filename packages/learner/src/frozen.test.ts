import '@tensorflow/tfjs-backend-cpu';
import { chain, gradientDescent, local, maxAbs, scaleBy, threeFactor } from '@ghl/core';
import { sign } from '@ghl/modulator-sign';
import { oja } from '@ghl/rule-oja';
import { swta } from '@ghl/rule-swta';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { beforeAll, describe, expect, it } from 'vitest';
import { type Assignment, plasticOptimizer } from './index.js';
import { own, random } from './model.fixture.js';
import { MovingMean } from './moving-mean.fixture.js';

beforeAll(async () => {
  await tf.setBackend('cpu');
});

const rest = chain(gradientDescent(), scaleBy(0.1));
const ghl = chain(threeFactor(maxAbs(swta()), sign()), scaleBy(0.1));

/** dense → batch norm → dropout → weightless statistics → dense; all of it in a nested model but the first and last. */
function net(): tfl.LayersModel {
  const inner = own(
    tfl.sequential({
      name: 'inner',
      layers: [
        tfl.layers.dense({ name: 'dense', units: 4, activation: 'tanh', inputShape: [4] }),
        tfl.layers.batchNormalization({ name: 'bn' }),
        tfl.layers.dropout({ name: 'dropout', rate: 0.5 }),
        new MovingMean({ name: 'statistics' }),
      ],
    }),
  );
  return own(
    tfl.sequential({
      layers: [
        tfl.layers.dense({ name: 'first', units: 4, inputShape: [3] }),
        inner,
        tfl.layers.dense({ name: 'out', units: 2 }),
      ],
    }),
  );
}

const layerOf = (model: tfl.LayersModel, path: string): tfl.layers.Layer =>
  path.split('/').reduce((parent, name) => (parent as tfl.LayersModel).getLayer(name), model as tfl.layers.Layer);
const paths = ['first', 'inner/dense', 'inner/bn', 'inner/statistics', 'out'];
const weightsOf = (model: tfl.LayersModel) =>
  Object.fromEntries(
    paths.map((path) => [
      path,
      layerOf(model, path)
        .getWeights()
        .map((weight) => Array.from(weight.dataSync())),
    ]),
  );
const variablesOf = (model: tfl.LayersModel, ...of: string[]) =>
  of.flatMap((path) => layerOf(model, path).trainableWeights.map((weight) => weight.read() as tf.Variable));

/** Layers whose weights, moving statistics included, differ. */
const movedSince = (model: tfl.LayersModel, before: ReturnType<typeof weightsOf>) =>
  paths.filter((path) => JSON.stringify(weightsOf(model)[path]) !== JSON.stringify(before[path]));

/** One step on a fixed input; returns the output of the forward pass in it. */
function step(
  model: tfl.LayersModel,
  optimizer: ReturnType<typeof plasticOptimizer>,
  varList?: tf.Variable[],
): number[] {
  let output: number[] = [];
  tf.tidy(() => {
    const x = tf.randomNormal([6, 3], 1, 2, 'float32', 7);
    optimizer.minimize(
      () => {
        const y = model.apply(x, { training: true }) as tf.Tensor;
        output = Array.from(y.dataSync());
        return tf.mean(tf.square(y)) as tf.Scalar;
      },
      { ...(varList && { varList }) },
    );
  });
  return output;
}

const inference = (model: tfl.LayersModel): Float32Array =>
  tf.tidy(() => (model.predict(tf.randomNormal([6, 3], 1, 2, 'float32', 7)) as tf.Tensor).dataSync() as Float32Array);

/** A net whose batch norm has seen something, so that inference differs from training. */
function warmNet(): tfl.LayersModel {
  const model = net();
  const optimizer = plasticOptimizer(model, { '*': rest });
  for (let i = 0; i < 3; i++) step(model, optimizer);
  optimizer.dispose();
  return model;
}

const inside = ['inner/dense', 'inner/bn', 'inner/dropout', 'inner/statistics'];

describe('what is frozen runs as at inference, and nothing of it moves', () => {
  const all: [string, Assignment, (model: tfl.LayersModel) => void][] = [
    ['by null for a nested model', { inner: null, '*': rest }, () => {}],
    ['by null for each layer', { ...Object.fromEntries(inside.map((path) => [path, null])), '*': rest }, () => {}],
    ['by null for the rest', { first: rest, out: rest, '*': null }, () => {}],
    ['by null for a pattern', { 'inner/*': null, '*': rest }, () => {}],
    [
      'by trainable = false of the nested model',
      { '*': rest },
      (model) => {
        layerOf(model, 'inner').trainable = false;
      },
    ],
    [
      'by trainable = false of each layer',
      { '*': rest },
      (model) => {
        for (const path of inside) layerOf(model, path).trainable = false;
      },
    ],
  ];

  it.each(all)('%s', (_, assignment, freeze) => {
    const model = warmNet();
    const optimizer = own(plasticOptimizer(model, assignment));
    freeze(model);
    const [before, expected] = [weightsOf(model), inference(model)];
    const output = step(model, optimizer);
    expect(output).toBeAllClose(expected, { rtol: 1e-5, atol: 1e-6 });
    expect(movedSince(model, before)).toEqual(['first', 'out']);
  });

  it('also where a rule is what would move it', () => {
    const model = warmNet();
    const optimizer = own(plasticOptimizer(model, { 'inner/dense': ghl, '*': rest }));
    layerOf(model, 'inner').trainable = false;
    const before = weightsOf(model);
    step(model, optimizer);
    expect(movedSince(model, before)).toEqual(['first', 'out']);
  });

  it('by omission from varList', () => {
    const model = warmNet();
    const optimizer = own(plasticOptimizer(model, { 'inner/dense': ghl, '*': rest }));
    const before = weightsOf(model);
    step(model, optimizer, variablesOf(model, 'first', 'out'));
    expect(movedSince(model, before)).toEqual(['first', 'out']);
    step(model, optimizer, variablesOf(model, 'first', 'inner/bn', 'out'));
    expect(movedSince(model, before)).toEqual(['first', 'inner/bn', 'out']);
  });

  it("but moving statistics move when varList names them, or omits no trainable weight as fit's does not", () => {
    const model = warmNet();
    const optimizer = own(plasticOptimizer(model, { '*': rest }));
    let before = weightsOf(model);
    const mean = layerOf(model, 'inner/statistics').weights[0]?.read() as tf.Variable;
    step(model, optimizer, [...variablesOf(model, 'out'), mean]);
    expect(movedSince(model, before)).toEqual(['inner/statistics', 'out']);
    before = weightsOf(model);
    step(model, optimizer, variablesOf(model, ...paths));
    expect(movedSince(model, before)).toEqual(paths);
  });

  it('weight by weight, without its layer', () => {
    const model = warmNet();
    const optimizer = own(plasticOptimizer(model, { 'inner/bn/gamma': null, 'first/bias': null, '*': rest }));
    const before = weightsOf(model);
    step(model, optimizer);
    expect(movedSince(model, before)).toEqual(paths);
    const after = weightsOf(model);
    expect(after.first?.[1]).toEqual(before.first?.[1]);
    const [gamma, beta, mean] = after['inner/bn'] as number[][];
    expect(gamma).toEqual(before['inner/bn']?.[0]);
    expect(beta).not.toEqual(before['inner/bn']?.[1]);
    expect(mean).not.toEqual(before['inner/bn']?.[2]);
  });

  it('layer by layer once every weight of it is frozen', () => {
    const model = warmNet();
    const optimizer = own(plasticOptimizer(model, { 'inner/bn/gamma': null, 'inner/bn/beta': null, '*': rest }));
    const before = weightsOf(model);
    step(model, optimizer);
    expect(movedSince(model, before)).toEqual(paths.filter((path) => path !== 'inner/bn'));
  });

  it('and a layer with one weight that moves is not frozen', () => {
    const model = warmNet();
    const optimizer = own(plasticOptimizer(model, { 'inner/bn/beta': rest, '*': null }));
    const before = weightsOf(model);
    step(model, optimizer);
    expect(movedSince(model, before)).toEqual(['inner/bn']);
    expect(weightsOf(model)['inner/bn']?.[2]).not.toEqual(before['inner/bn']?.[2]);
  });
});

describe('thawing', () => {
  it('by trainable = true goes on as if nothing had been', () => {
    const model = warmNet();
    const optimizer = own(plasticOptimizer(model, { 'inner/dense': ghl, '*': rest }));
    layerOf(model, 'inner').trainable = false;
    step(model, optimizer);
    layerOf(model, 'inner').trainable = true;
    const before = weightsOf(model);
    const output = step(model, optimizer);
    expect(movedSince(model, before)).toEqual(paths);
    // Dropout and the batch's own statistics are back.
    expect(output).not.toBeAllClose(inference(model), { rtol: 1e-3 });
  });

  it('a layer that no label names is an error, not a silent omission', () => {
    const model = warmNet();
    layerOf(model, 'inner').trainable = false;
    const optimizer = own(plasticOptimizer(model, { first: rest, out: rest }));
    step(model, optimizer);
    layerOf(model, 'inner').trainable = true;
    expect(() => step(model, optimizer)).toThrow(
      expect.objectContaining({ code: 'UNCLAIMED_WEIGHT', message: expect.stringContaining('inner/dense/kernel') }),
    );
  });
});

describe('under fit', () => {
  it('frozen is frozen, and moving statistics move elsewhere', async () => {
    const model = warmNet();
    const optimizer = own(
      plasticOptimizer(model, { 'inner/dense': local(maxAbs(oja())), 'inner/bn': null, '*': rest }),
    );
    model.compile({ optimizer, loss: 'meanSquaredError' });
    const before = weightsOf(model);
    await model.fit(random([6, 3], 1), random([6, 2], 2), { epochs: 2, verbose: 0 });
    expect(movedSince(model, before)).toEqual(['first', 'inner/dense', 'inner/statistics', 'out']);
  });
});

describe('a layer that follows the step', () => {
  it('is told it before each step, and that it is over after it', () => {
    const model = net();
    const layer = layerOf(model, 'inner/statistics') as MovingMean;
    const optimizer = own(plasticOptimizer(model, { '*': rest }));
    step(model, optimizer);
    step(model, optimizer);
    expect(() =>
      optimizer.minimize(() => {
        throw new Error('mine');
      }),
    ).toThrow('mine');
    expect(layer.told).toEqual([0, null, 1, null, 2, null]);
  });

  it('follows the outer step again after an inner one', () => {
    const model = net();
    const layer = layerOf(model, 'inner/statistics') as MovingMean;
    const [outer, inner] = [own(plasticOptimizer(model, { '*': rest })), own(plasticOptimizer(model, { '*': rest }))];
    step(model, outer);
    layer.told.length = 0;
    const x = random([2, 3], 1);
    const loss = () => tf.tidy(() => tf.mean(model.apply(x, { training: true }) as tf.Tensor) as tf.Scalar);
    outer.minimize(() => {
      inner.minimize(loss);
      return loss();
    });
    expect(layer.told).toEqual([1, 0, 1, null]);
  });
});
