import '@tensorflow/tfjs-backend-cpu';
import { chain, gradientDescent, local, maxAbs, scaleBy } from '@ghl/core';
import { oja } from '@ghl/rule-oja';
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
const { dense, conv2d, flatten, dropout, batchNormalization, activation } = tfl.layers;

/** conv → relu → flatten → dropout → dense. */
const convNet = () =>
  own(
    tfl.sequential({
      layers: [
        conv2d({ name: 'conv', filters: 2, kernelSize: 2, inputShape: [3, 3, 1] }),
        activation({ name: 'relu', activation: 'relu' }),
        flatten({ name: 'flatten' }),
        dropout({ name: 'dropout', rate: 0.5, seed: 1 }),
        dense({ name: 'out', units: 2 }),
      ],
    }),
  );

/** A model of dense layers of three units, with other layers between the first and the last. */
const denseNet = (...between: tfl.layers.Layer[]) =>
  own(
    tfl.sequential({
      layers: [dense({ name: 'first', units: 3, inputShape: [3] }), ...between, dense({ name: 'out', units: 2 })],
    }),
  );

const prefixOf = (model: tfl.LayersModel, assignment: Assignment) =>
  own(plasticOptimizer(model, assignment)).frozenPrefix();

describe('a frozen prefix', () => {
  it('ends before active dropout', () => {
    const prefix = prefixOf(convNet(), { conv: null, '*': rest });
    expect(prefix).toMatchObject({ layer: 'flatten', shape: [8] });
    expect(prefix?.weights).toHaveLength(2);
  });

  it('contains dropout that the assignment freezes', () => {
    expect(prefixOf(convNet(), { out: rest, '*': null })?.layer).toBe('dropout');
  });

  it('contains layers that are not trainable', () => {
    const model = convNet();
    model.getLayer('conv').trainable = false;
    expect(prefixOf(model, { '*': rest })?.layer).toBe('flatten');
  });

  it('and the rest compute what the model computes', () => {
    const model = convNet();
    const x = random([4, 3, 3, 1], 1);
    const prefix = prefixOf(model, { conv: null, '*': rest });
    tf.tidy(() => {
      for (const training of [false, true]) {
        const features = prefix?.prefix.apply(x, { training }) as tf.Tensor;
        const output = prefix?.rest.apply(features, { training }) as tf.Tensor;
        expect(output).toBeAllClose(model.apply(x, { training }) as tf.Tensor, { rtol: 0, atol: 0 });
      }
    });
  });

  it('adds no node to the layers of the model, and overrides none of them', () => {
    const model = convNet();
    prefixOf(model, { conv: null, '*': rest });
    for (const layer of model.layers) expect(layer.inboundNodes).toHaveLength(1);
    expect(Object.hasOwn(model.getLayer('conv'), 'call')).toBe(false);
  });

  it('moves the rest exactly as a step on the whole model does', () => {
    const [whole, split] = [convNet(), convNet()];
    split.setWeights(whole.getWeights());
    const assignment = { conv: null, out: chain(local(maxAbs(oja())), scaleBy(0.1)), '*': rest };
    const [a, b] = [own(plasticOptimizer(whole, assignment)), own(plasticOptimizer(split, assignment))];
    const prefix = b.frozenPrefix();
    const loss = (y: tf.Tensor | tf.Tensor[]) => tf.mean(tf.square(y as tf.Tensor)) as tf.Scalar;
    for (const seed of [1, 2, 3]) {
      const x = random([4, 3, 3, 1], seed);
      a.minimize(() => loss(whole.apply(x, { training: true }) as tf.Tensor));
      tf.tidy(() => {
        const features = prefix?.prefix.apply(x, { training: false }) as tf.Tensor;
        b.minimize(() => loss(prefix?.rest.apply(features, { training: true }) as tf.Tensor));
      });
    }
    expect(split.getWeights().map((weight) => [...weight.dataSync()])).toEqual(
      whole.getWeights().map((weight) => [...weight.dataSync()]),
    );
  });

  it('contains frozen batch norm, in inference mode', () => {
    const model = denseNet(batchNormalization({ name: 'bn' }));
    expect(prefixOf(model, { first: null, bn: null, '*': rest })?.layer).toBe('bn');
  });

  it('contains a nested model whose layers are all frozen', () => {
    const inner = own(
      tfl.sequential({ name: 'inner', layers: [dense({ units: 3, inputShape: [3] }), dropout({ rate: 0.5 })] }),
    );
    expect(prefixOf(denseNet(inner), { first: null, inner: null, '*': rest })?.layer).toBe('inner');
    expect(prefixOf(denseNet(inner), { first: null, 'inner/*': rest, '*': rest })?.layer).toBe('first');
  });
});

/** Two paths from `first` to `sum`, and on to `out`. */
const diamond = () => {
  const input = tfl.input({ shape: [3] });
  const first = dense({ name: 'first', units: 3 }).apply(input) as tfl.SymbolicTensor;
  const left = dense({ name: 'left', units: 3 }).apply(first) as tfl.SymbolicTensor;
  const right = dense({ name: 'right', units: 3 }).apply(first) as tfl.SymbolicTensor;
  const sum = tfl.layers.add({ name: 'sum' }).apply([left, right]) as tfl.SymbolicTensor;
  const output = dense({ name: 'out', units: 2 }).apply(sum) as tfl.SymbolicTensor;
  return { input, first, left, right, sum, output };
};

describe('the cut', () => {
  it.each([
    ['first', { first: null, '*': rest }],
    ['first', { first: null, left: null, '*': rest }],
    ['sum', { first: null, left: null, right: null, '*': rest }],
  ] as const)('is the last tensor on all paths: %s', (layer, assignment) => {
    const { input, output } = diamond();
    expect(prefixOf(own(tfl.model({ inputs: input, outputs: output })), assignment)?.layer).toBe(layer);
  });

  it('is not after a tensor that is also an output', () => {
    const { input, first, output } = diamond();
    const model = own(tfl.model({ inputs: input, outputs: [output, first] }));
    expect(prefixOf(model, { first: null, left: null, right: null, '*': rest })).toBeNull();
  });

  it('may precede several outputs', () => {
    const { input, sum, output } = diamond();
    const other = dense({ name: 'other', units: 1 }).apply(sum) as tfl.SymbolicTensor;
    const model = own(tfl.model({ inputs: input, outputs: [output, other] }));
    const prefix = prefixOf(model, { out: rest, other: rest, '*': null });
    expect(prefix?.layer).toBe('sum');
    tf.tidy(() => {
      const x = random([2, 3], 1);
      const outputs = prefix?.rest.apply(prefix.prefix.apply(x, { training: false }) as tf.Tensor, { training: false });
      (model.apply(x) as tf.Tensor[]).forEach((expected, i) => {
        expect((outputs as tf.Tensor[])[i]).toBeAllClose(expected, { rtol: 0, atol: 0 });
      });
    });
  });
});

/** A layer without weights that reads the training mode, unknown to this package. */
class Noisy extends tfl.layers.Layer {
  static className = 'Noisy';
  override call(inputs: tf.Tensor | tf.Tensor[], kwargs: { training?: boolean }): tf.Tensor {
    const x = (Array.isArray(inputs) ? inputs[0] : inputs) as tf.Tensor;
    return kwargs.training ? tf.add(x, 1) : tf.clone(x);
  }
}

describe('there is no frozen prefix', () => {
  it.each([
    ['if the first layer moves', () => denseNet(), { '*': rest }],
    ['if one weight of the first layer moves', () => denseNet(), { 'first/kernel': null, '*': rest }],
    ['before the first layer with weights', () => denseNet(), { out: null, '*': rest }],
    [
      'after batch norm in training mode',
      () => own(tfl.sequential({ layers: [batchNormalization({ name: 'bn', inputShape: [3] }), dense({ units: 2 })] })),
      { 'bn/gamma': null, '*': rest },
    ],
    [
      'after moving statistics of a layer without trainable weights',
      () =>
        own(
          tfl.sequential({
            layers: [new MovingMean({ inputShape: [3] }), dense({ name: 'd', units: 3 }), dense({ units: 2 })],
          }),
        ),
      { d: null, '*': rest },
    ],
    [
      'after a stateful layer, even if it is frozen',
      () => {
        const rnn = tfl.layers.simpleRNN({ name: 'rnn', units: 3, stateful: true, batchInputShape: [1, 2, 3] });
        const model = own(tfl.sequential({ layers: [rnn, dense({ units: 2 })] }));
        own({ dispose: () => tf.dispose((rnn as unknown as { states_: tf.Tensor[] }).states_) });
        return model;
      },
      { rnn: null, '*': rest },
    ],
    [
      'of a model with two inputs',
      () => {
        const inputs = [tfl.input({ shape: [3] }), tfl.input({ shape: [3] })];
        const both = dense({ name: 'first', units: 3 }).apply(tfl.layers.add().apply(inputs) as tfl.SymbolicTensor);
        return own(tfl.model({ inputs, outputs: dense({ units: 2 }).apply(both) as tfl.SymbolicTensor }));
      },
      { first: null, '*': rest },
    ],
    [
      'with a mask',
      () =>
        own(
          tfl.sequential({
            layers: [
              tfl.layers.embedding({ name: 'words', inputDim: 4, outputDim: 2, maskZero: true, inputLength: 3 }),
              tfl.layers.simpleRNN({ units: 2 }),
            ],
          }),
        ),
      { words: null, '*': rest },
    ],
  ] as [string, () => tfl.LayersModel, Assignment][])('%s', (_, build, assignment) => {
    expect(prefixOf(build(), assignment)).toBeNull();
  });

  it.each([
    ['dropout', () => dropout({ rate: 0.5 })],
    ['noise', () => tfl.layers.gaussianNoise({ stddev: 1 })],
    ['a custom layer that reads the training mode', () => new Noisy({})],
    ['a step-dependent layer', () => new MovingMean({})],
  ])('beyond %s that is not frozen', (_, layer) => {
    const model = denseNet(layer(), dense({ name: 'second', units: 3 }));
    expect(prefixOf(model, { out: rest, '**/kernel': null, '**/bias': null, '*': rest })?.layer).toBe('first');
  });
});
