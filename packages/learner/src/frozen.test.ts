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

/**
 * dense → batch norm → dropout → weightless statistics → dense. All layers but the first and last form a nested model.
 */
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

/** The layers whose weights, including moving statistics, differ. */
const movedSince = (model: tfl.LayersModel, before: ReturnType<typeof weightsOf>) =>
  paths.filter((path) => JSON.stringify(weightsOf(model)[path]) !== JSON.stringify(before[path]));

/** Takes one step on a fixed input, and returns the output of its forward pass. */
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

/** A network whose batch norm has seen data, so that inference differs from training. */
function warmNet(): tfl.LayersModel {
  const model = net();
  const optimizer = plasticOptimizer(model, { '*': rest });
  for (let i = 0; i < 3; i++) step(model, optimizer);
  optimizer.dispose();
  return model;
}

const inside = ['inner/dense', 'inner/bn', 'inner/dropout', 'inner/statistics'];

describe('frozen layers', () => {
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

  it.each(all)('run in inference mode and keep all weights: %s', (_, assignment, freeze) => {
    const model = warmNet();
    const optimizer = own(plasticOptimizer(model, assignment));
    freeze(model);
    const [before, expected] = [weightsOf(model), inference(model)];
    const output = step(model, optimizer);
    expect(output).toBeAllClose(expected, { rtol: 1e-5, atol: 1e-6 });
    expect(movedSince(model, before)).toEqual(['first', 'out']);
  });

  it('run in inference mode under a rule too', () => {
    const model = warmNet();
    const optimizer = own(plasticOptimizer(model, { 'inner/dense': ghl, '*': rest }));
    layerOf(model, 'inner').trainable = false;
    const before = weightsOf(model);
    step(model, optimizer);
    expect(movedSince(model, before)).toEqual(['first', 'out']);
  });

  it('run in inference mode if varList omits their weights', () => {
    const model = warmNet();
    const optimizer = own(plasticOptimizer(model, { 'inner/dense': ghl, '*': rest }));
    const before = weightsOf(model);
    step(model, optimizer, variablesOf(model, 'first', 'out'));
    expect(movedSince(model, before)).toEqual(['first', 'out']);
    step(model, optimizer, variablesOf(model, 'first', 'inner/bn', 'out'));
    expect(movedSince(model, before)).toEqual(['first', 'inner/bn', 'out']);
  });

  it('update moving statistics that varList lists, and all of them if it omits no trainable weight', () => {
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

  it('keep a single weight while the layer trains', () => {
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

  it('run in inference mode once every weight is frozen', () => {
    const model = warmNet();
    const optimizer = own(plasticOptimizer(model, { 'inner/bn/gamma': null, 'inner/bn/beta': null, '*': rest }));
    const before = weightsOf(model);
    step(model, optimizer);
    expect(movedSince(model, before)).toEqual(paths.filter((path) => path !== 'inner/bn'));
  });

  it('train if one weight moves', () => {
    const model = warmNet();
    const optimizer = own(plasticOptimizer(model, { 'inner/bn/beta': rest, '*': null }));
    const before = weightsOf(model);
    step(model, optimizer);
    expect(movedSince(model, before)).toEqual(['inner/bn']);
    expect(weightsOf(model)['inner/bn']?.[2]).not.toEqual(before['inner/bn']?.[2]);
  });
});

describe('thawing', () => {
  it('continues after trainable = true as if the layer had never been frozen', () => {
    const model = warmNet();
    const optimizer = own(plasticOptimizer(model, { 'inner/dense': ghl, '*': rest }));
    layerOf(model, 'inner').trainable = false;
    step(model, optimizer);
    layerOf(model, 'inner').trainable = true;
    const before = weightsOf(model);
    const output = step(model, optimizer);
    expect(movedSince(model, before)).toEqual(paths);
    // Dropout and batch statistics are active again.
    expect(output).not.toBeAllClose(inference(model), { rtol: 1e-3 });
  });

  it('rejects a thawed layer without a selector', () => {
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

describe('freezing under fit', () => {
  it('keeps frozen layers, and updates moving statistics of other layers', async () => {
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

describe('a step-dependent layer', () => {
  it('receives the step before each step, and null after it', () => {
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
    expect(layer.steps).toEqual([0, null, 1, null, 2, null]);
  });

  it('follows the outer step again after an inner step', () => {
    const model = net();
    const layer = layerOf(model, 'inner/statistics') as MovingMean;
    const [outer, inner] = [own(plasticOptimizer(model, { '*': rest })), own(plasticOptimizer(model, { '*': rest }))];
    step(model, outer);
    layer.steps.length = 0;
    const x = random([2, 3], 1);
    const loss = () => tf.tidy(() => tf.mean(model.apply(x, { training: true }) as tf.Tensor) as tf.Scalar);
    outer.minimize(() => {
      inner.minimize(loss);
      return loss();
    });
    expect(layer.steps).toEqual([1, 0, 1, null]);
  });
});
