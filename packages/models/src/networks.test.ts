import '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import {
  LayersModel,
  layers,
  loadLayersModel,
  metrics,
  type SymbolicTensor,
  sequential,
} from '@tensorflow/tfjs-layers';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { hahVggLayers } from './hah-vgg-layers.js';
import {
  batchNorm,
  deepHebb,
  deepHebbSmall,
  divisiveNorm,
  dropout,
  fastHebb,
  fastHebbSmall,
  hahVgg16,
  hahVgg16Small,
  ibHebb,
  ibHebbSmall,
  layerNorm,
  type NetworkOptions,
  networks,
  oneHidden,
  oneHiddenSmall,
  powerLoss,
  reflectionPad2d,
  register,
  repu,
  topFraction,
  triangle,
  unitNormConv2d,
} from './index.js';

beforeAll(async () => {
  await tf.setBackend('cpu');
});
beforeEach(() => tf.engine().startScope());
afterEach(() => {
  tf.engine().endScope();
  tf.disposeVariables();
});

const parameters = (model: LayersModel, layer: string) => model.getLayer(layer).countParams();
const values = (model: LayersModel) => model.getWeights().map((weight) => [...weight.dataSync()]);
const small = { inputShape: [32, 32, 3], classes: 4 } as const;

describe('deepHebb', () => {
  it('has the sizes of the paper', () => {
    const model = deepHebb();
    expect(['conv1', 'conv2', 'conv3'].map((layer) => parameters(model, layer))).toEqual([7_200, 331_776, 5_308_416]);
    expect(7_200 + 331_776 + 5_308_416).toBe(5_647_392);
    expect(parameters(model, 'classifier')).toBe(245_770);
    const trainable = model.trainableWeights.reduce(
      (sum, weight) => sum + tf.util.sizeFromShape(weight.shape as number[]),
      0,
    );
    expect(trainable).toBe(5_647_392 + 245_770);
    expect(model.layers.map(({ name, outputShape }) => [name, outputShape])).toEqual([
      ['bn1', [null, 32, 32, 3]],
      ['conv1', [null, 32, 32, 96]],
      ['activation1', [null, 32, 32, 96]],
      ['pool1', [null, 16, 16, 96]],
      ['bn2', [null, 16, 16, 96]],
      ['conv2', [null, 16, 16, 384]],
      ['activation2', [null, 16, 16, 384]],
      ['pool2', [null, 8, 8, 384]],
      ['bn3', [null, 8, 8, 384]],
      ['conv3', [null, 8, 8, 1536]],
      ['activation3', [null, 8, 8, 1536]],
      ['pool3', [null, 4, 4, 1536]],
      ['flatten', [null, 24576]],
      ['dropout', [null, 24576]],
      ['classifier', [null, 10]],
    ]);
  });

  it('pools even sizes as PyTorch does with padding 1', () => {
    const x = tf.randomNormal([2, 8, 6, 3], -5, 1, 'float32', 1) as tf.Tensor4D;
    const padded = tf.pad(
      x,
      [
        [0, 0],
        [1, 1],
        [1, 1],
        [0, 0],
      ],
      Number.NEGATIVE_INFINITY,
    ) as tf.Tensor4D;
    const ours = layers.maxPooling2d({ poolSize: 4, strides: 2, padding: 'same' }).apply(x) as tf.Tensor;
    expect(ours.arraySync()).toEqual(tf.maxPool(padded, 4, 2, 'valid').arraySync());
  });
});

describe('fastHebb', () => {
  it('has the sizes of the paper', () => {
    const model = fastHebb();
    const convolutions = ['conv1', 'conv2', 'conv3', 'conv4'].map((layer) => parameters(model, layer));
    expect(convolutions).toEqual([7_200, 110_592, 221_184, 442_368]);
    expect(convolutions.reduce((a, b) => a + b)).toBe(781_344);
    expect(parameters(model, 'fc5')).toBe(9_441_280);
    expect(parameters(model, 'classifier')).toBe(40_970);
    const trainable = model.trainableWeights.reduce(
      (sum, weight) => sum + tf.util.sizeFromShape(weight.shape as number[]),
      0,
    );
    expect(trainable).toBe(781_344 + 9_441_280 + 40_970 + 2 * 4096);
    expect(model.layers.map(({ name, outputShape }) => [name, outputShape])).toEqual([
      ['input', [null, 32, 32, 3]],
      ['conv1', [null, 28, 28, 96]],
      ['activation1', [null, 28, 28, 96]],
      ['pool1', [null, 14, 14, 96]],
      ['bn1', [null, 14, 14, 96]],
      ['conv2', [null, 12, 12, 128]],
      ['activation2', [null, 12, 12, 128]],
      ['bn2', [null, 12, 12, 128]],
      ['conv3', [null, 10, 10, 192]],
      ['activation3', [null, 10, 10, 192]],
      ['pool3', [null, 5, 5, 192]],
      ['bn3', [null, 5, 5, 192]],
      ['conv4', [null, 3, 3, 256]],
      ['activation4', [null, 3, 3, 256]],
      ['bn4', [null, 3, 3, 256]],
      ['flatten', [null, 2304]],
      ['fc5', [null, 4096]],
      ['activation5', [null, 4096]],
      ['bn5', [null, 4096]],
      ['dropout', [null, 4096]],
      ['classifier', [null, 10]],
    ]);
  });
});

describe.each([
  ['deepHebbSmall', deepHebbSmall, deepHebb, 5],
  ['fastHebbSmall', fastHebbSmall, fastHebb, 24],
] as const)('%s', (_, build, full, least) => {
  it('has the layers of the full network', () => {
    const named = (model: LayersModel) => model.layers.map((layer) => [layer.name, layer.getClassName()]);
    expect(named(build())).toEqual(named(full()));
  });

  it('draws the initial weights from its seed alone, as PyTorch does', () => {
    const weights = values(build({ ...small, seed: 0 }));
    expect(values(build({ ...small, seed: 0 }))).toEqual(weights);
    const other = build({ ...small, seed: 1 });
    for (const layer of other.layers.filter(({ name }) => /conv|fc|classifier/.test(name))) {
      for (const weight of layer.getWeights()) {
        const drawn = [...weight.dataSync()];
        expect(weights.some((each) => String(each) === String(drawn))).toBe(false);
        const [spread, most] = [Math.hypot(...drawn) / Math.sqrt(drawn.length), Math.max(...drawn.map(Math.abs))];
        const kernel = layer.getWeights()[0]!;
        const fanIn = tf.util.sizeFromShape(kernel.shape.slice(0, -1));
        if (layer.name.startsWith('conv')) {
          expect(Math.abs(spread / Math.sqrt(2 / fanIn) - 1)).toBeLessThan(5 / Math.sqrt(2 * drawn.length));
          expect(most).toBeGreaterThan(2.2 * Math.sqrt(2 / fanIn));
        } else {
          expect(most).toBeLessThanOrEqual(1 / Math.sqrt(fanIn));
          if (weight === kernel) expect(spread * Math.sqrt(3 * fanIn)).toBeCloseTo(1, 1);
        }
      }
    }
  });

  it('accepts the smallest image of its error message, and rejects a smaller one', () => {
    const model = build({ inputShape: [least, least, 1], classes: 2 });
    const y = model.predict(tf.ones([1, least, least, 1])) as tf.Tensor;
    expect(tf.sum(y).dataSync()[0]).toBeCloseTo(1, 5);
    expect(() => build({ inputShape: [40, least - 1, 1] })).toThrow(
      expect.objectContaining({ code: 'INPUT_TOO_SMALL', message: expect.stringContaining(`${least}×${least}`) }),
    );
  });
});

describe('oneHidden', () => {
  it('has the sizes of the publication, and no bias', () => {
    const model = oneHidden();
    expect(model.layers.map(({ name, outputShape }) => [name, ...outputShape.slice(1)])).toEqual([
      ['flatten', 784],
      ['hidden', 2000],
      ['activation', 2000],
      ['classifier', 10],
      ['beta', 10],
      ['output', 10],
    ]);
    expect([parameters(model, 'hidden'), parameters(model, 'classifier')]).toEqual([1_568_000, 20_000]);
    expect(model.countParams()).toBe(1_588_000);
    const exponents = (each: LayersModel) => [
      each.getLayer('activation').getConfig().power,
      each.getLayer('beta').getConfig().scale,
    ];
    expect(exponents(model)).toEqual([1, 1]);
    expect(exponents(oneHiddenSmall({ output: 'tanh' }))).toEqual([4.5, 0.01]);
    const [kernel] = model.getLayer('hidden').getWeights();
    expect(tf.sqrt(tf.mean(tf.square(kernel!))).dataSync()[0]).toBeCloseTo(1, 2);
  });

  it('learns by gradient descent at the step of its descriptor, with a softmax', async () => {
    const model = oneHiddenSmall();
    const optimizer = tf.train.sgd(networks['one-hidden-small'].constants.restStep);
    model.compile({ optimizer, loss: 'categoricalCrossentropy' });
    const [x, labels] = [tf.randomUniform([4, 28, 28, 1], 0, 1, 'float32', 1), tf.oneHot([0, 1, 2, 3], 10)];
    const first = (await model.trainOnBatch(x, labels)) as number;
    expect(await model.trainOnBatch(x, labels)).toBeLessThan(first);
    expect(first).toBeLessThan(10);
    optimizer.dispose();
  });

  it('computes tanh(β·S·RePU(x·W)) and learns by the power loss', async () => {
    const options = { inputShape: [1, 3, 1], classes: 2, power: 2, beta: 0.1, output: 'tanh' } as const;
    const model = oneHiddenSmall(options);
    const x = tf.tensor4d([1, -1, 0.5, 0, 2, 1], [2, 1, 3, 1]);
    const [w, s] = model.getWeights().map((weight) => weight.arraySync() as number[][]) as [number[][], number[][]];
    const expected = [
      [1, -1, 0.5],
      [0, 2, 1],
    ].map((image) => {
      const y = w[0]!.map((_, k) => image.reduce((sum, value, d) => sum + value * w[d]![k]!, 0));
      return s[0]!.map((_, c) =>
        Math.tanh(0.1 * y.reduce((sum, each, k) => sum + Math.max(0, each) ** 2 * s[k]![c]!, 0)),
      );
    });
    expect((model.predict(x) as tf.Tensor).dataSync()).toBeAllClose(expected.flat(), { rtol: 1e-4, atol: 1e-5 });
    const optimizer = tf.train.sgd(1e-3);
    model.compile({ optimizer, loss: powerLoss({ power: 4 }) });
    const labels = tf.oneHot([0, 1], 2);
    const first = await model.trainOnBatch(x, labels);
    expect(await model.trainOnBatch(x, labels)).toBeLessThan(first as number);
    optimizer.dispose();
  });

  it.each([{ power: 0 }, { beta: -1 }, { output: 'relu' }])('rejects %j', (options) => {
    expect(() => oneHiddenSmall(options as object)).toThrow(expect.objectContaining({ code: 'BAD_VALUE' }));
  });
});

describe('ibHebb', () => {
  it('has the sizes of its authors, with layer normalisation before the pools', () => {
    const model = ibHebb();
    expect(['conv1', 'conv2', 'classifier'].map((layer) => parameters(model, layer))).toEqual([3584, 295_168, 163_850]);
    expect(model.countParams()).toBe(462_602);
    expect(model.layers.map(({ name, outputShape }) => [name, ...outputShape.slice(1)])).toEqual([
      ['input', 32, 32, 3],
      ['conv1', 32, 32, 128],
      ['activation1', 32, 32, 128],
      ['norm1', 32, 32, 128],
      ['pool1', 16, 16, 128],
      ['conv2', 16, 16, 256],
      ['activation2', 16, 16, 256],
      ['norm2', 16, 16, 256],
      ['pool2', 8, 8, 256],
      ['flatten', 16384],
      ['classifier', 10],
    ]);
    const [kernel, bias] = model.getLayer('conv2').getWeights() as [tf.Tensor, tf.Tensor];
    expect(tf.sqrt(tf.mean(tf.square(kernel))).dataSync()[0]! * Math.sqrt(9 * 128)).toBeCloseTo(1, 2);
    expect(tf.max(tf.abs(bias)).dataSync()[0]).toBe(0);
  });

  it('learns', async () => {
    const model = ibHebbSmall({ inputShape: [4, 4, 1], classes: 2 });
    const optimizer = tf.train.sgd(0.05);
    model.compile({ optimizer, loss: 'categoricalCrossentropy' });
    const before = values(model);
    await model.trainOnBatch(tf.randomUniform([2, 4, 4, 1], 0, 1, 'float32', 1), tf.oneHot([0, 1], 2));
    for (const [i, weight] of values(model).entries()) expect(weight).not.toEqual(before[i]);
    optimizer.dispose();
  });
});

describe('hahVgg16', () => {
  it('has the sizes of VGG-16, and six convolutions of unit norm', () => {
    const model = hahVgg16();
    const convolutions = model.layers.filter(({ name }) => name.startsWith('conv'));
    expect(convolutions.map((layer) => layer.outputShape.slice(1))).toEqual([
      ...Array(2).fill([32, 32, 64]),
      ...Array(2).fill([16, 16, 128]),
      ...Array(3).fill([8, 8, 256]),
      ...Array(3).fill([4, 4, 512]),
      ...Array(3).fill([2, 2, 512]),
    ]);
    expect(convolutions.reduce((sum, layer) => sum + layer.countParams(), 0)).toBe(14_710_464);
    expect(convolutions.map((layer) => layer.getClassName())).toEqual([
      ...Array(6).fill('GhlUnitNormConv2d'),
      ...Array(7).fill('Conv2D'),
    ]);
    expect(parameters(model, 'classifier')).toBe(5130);
    const trainable = model.trainableWeights.reduce(
      (sum, { shape }) => sum + tf.util.sizeFromShape(shape as number[]),
      0,
    );
    expect(trainable).toBe(14_710_464 + 6656 + 5130);
  });

  it('computes the same for a brighter image and for rescaled units in its first block', () => {
    const model = hahVgg16Small({ inputShape: [32, 32, 1] });
    const { inputs } = model;
    const top = new LayersModel({ inputs, outputs: model.getLayer('top1').output as SymbolicTensor });
    const x = tf.randomUniform([1, 32, 32, 1], 0, 1, 'float32', 1);
    const y = top.predict(x) as tf.Tensor;
    expect(top.predict(tf.mul(x, 3)) as tf.Tensor).toBeAllClose(y, { rtol: 1e-4, atol: 1e-5 });
    const conv = model.getLayer('conv1');
    conv.setWeights([tf.mul(conv.getWeights()[0]!, tf.range(1, 9))]);
    expect(top.predict(x) as tf.Tensor).toBeAllClose(y, { rtol: 1e-4, atol: 1e-5 });
    const passing = tf.sum(tf.cast(tf.greater(y, 0), 'float32'), [1, 2]).dataSync();
    expect(Math.max(...passing)).toBe(1024 - Math.floor(0.8 * 1024));
  });

  it('has a small variant of the documented size', () => {
    const model = hahVgg16Small();
    const sizes = model.layers.map((layer) => layer.countParams());
    expect(model.countParams() - 2 * (32 + 6 * 64)).toBe(18_072 + 213_450);
    expect(sizes.filter((_, i) => model.layers[i]!.name.startsWith('conv')).reduce((a, b) => a + b)).toBe(230_040);
  });

  it('learns', async () => {
    const model = hahVggLayers('narrow', 1, { inputShape: [32, 32, 1], classes: 2 });
    const optimizer = tf.train.sgd(0.05);
    model.compile({ optimizer, loss: 'categoricalCrossentropy' });
    const [x, labels] = [tf.randomUniform([2, 32, 32, 1], 0, 1, 'float32', 1), tf.oneHot([0, 1], 2)];
    const before = values(model);
    await model.trainOnBatch(x, labels);
    for (const [i, weight] of values(model).entries()) expect(weight).not.toEqual(before[i]);
    optimizer.dispose();
  });
});

describe.each(Object.entries(networks))('%s', (name, { id, build, constants }) => {
  it('has the name of its file', () => {
    expect(id).toBe(name);
  });

  it('has a temperature for each layer that competes', () => {
    if (!name.endsWith('-small')) {
      const { temperatures } = networks[`${name}-small` as keyof typeof networks].constants;
      expect(Object.keys(constants.temperatures)).toEqual(Object.keys(temperatures));
      return;
    }
    const model = build(small);
    const ofClass = (type: string) =>
      model.layers.filter((layer) => layer.getClassName() === type).map((layer) => layer.name);
    const competing = [ofClass('GhlUnitNormConv2d'), ofClass('Conv2D'), ['hidden']];
    expect(Object.keys(constants.temperatures)).toEqual(competing.find((layers) => layers.length > 0));
  });

  it.each([
    [{ inputShape: [32, 32] }, 'BAD_VALUE'],
    [{ inputShape: [32, 32.5, 3] }, 'BAD_VALUE'],
    [{ classes: 1 }, 'BAD_VALUE'],
    [{ seed: 0.5 }, 'BAD_VALUE'],
    [{ clases: 10 }, 'UNKNOWN_OPTION'],
  ])('rejects %j', (options, code) => {
    expect(() => build(options as unknown as NetworkOptions)).toThrow(expect.objectContaining({ code }));
  });
});

describe.each([
  ['deepHebbSmall', deepHebbSmall],
  ['fastHebbSmall', fastHebbSmall],
])('%s', (_, build) => {
  it.each([{ activation: 'tanh' }, { padding: 'same' }, { radius: 0 }, { dropout: 1 }, { classifier: 'zeros' }])(
    'rejects %j',
    (options) => {
      expect(() => build(options as unknown as NetworkOptions)).toThrow(expect.objectContaining({ code: 'BAD_VALUE' }));
    },
  );
});

describe('variants of a network', () => {
  it('gives the net input of the classifier, of which the output is the softmax otherwise', () => {
    const options = { inputShape: [8, 8, 1], seed: 3 } as const;
    const [probabilities, logits] = [deepHebbSmall(options), deepHebbSmall({ ...options, logits: true })];
    const x = tf.randomUniform([2, 8, 8, 1], 0, 1, 'float32', 1);
    const [p, o] = [probabilities, logits].map((model) => model.apply(x) as tf.Tensor);
    expect(tf.tidy(() => tf.softmax(o!).dataSync())).toBeAllClose(p!.dataSync(), { rtol: 1e-5 });
    expect(o!.dataSync()).not.toEqual(p!.dataSync());
    tf.dispose([x, p!, o!]);
    for (const model of [probabilities, logits]) model.dispose();
  });

  const kernelOf = (model: LayersModel, layer: string) => model.getLayer(layer).getWeights()[0]!;
  const softHebb = { activation: 'triangle', padding: 'reflect', radius: 25, classifier: 'positive' } as const;

  it('builds Deep SoftHebb in the published order, with reflected borders', () => {
    const model = deepHebb(softHebb);
    expect(model.layers.map(({ name, outputShape }) => [name, ...outputShape.slice(1)])).toEqual([
      ['bn1', 32, 32, 3],
      ['pad1', 36, 36, 3],
      ['conv1', 32, 32, 96],
      ['activation1', 32, 32, 96],
      ['pool1', 16, 16, 96],
      ['bn2', 16, 16, 96],
      ['pad2', 18, 18, 96],
      ['conv2', 16, 16, 384],
      ['activation2', 16, 16, 384],
      ['pool2', 8, 8, 384],
      ['bn3', 8, 8, 384],
      ['pad3', 10, 10, 384],
      ['conv3', 8, 8, 1536],
      ['activation3', 8, 8, 1536],
      ['pool3', 4, 4, 1536],
      ['flatten', 24576],
      ['dropout', 24576],
      ['classifier', 10],
    ]);
    const powers = [1, 2, 3].map((i) => model.getLayer(`activation${i}`).getConfig().power);
    expect(powers).toEqual([0.7, 1.4, 1]);
    const [low, high] = [tf.min(kernelOf(model, 'classifier')), tf.max(kernelOf(model, 'classifier'))];
    expect(low.dataSync()[0]).toBeGreaterThanOrEqual(0);
    expect(high.dataSync()[0]).toBeCloseTo(0.11048543, 5);
  });

  it('starts units at the radius', () => {
    const norms = (layer: string) =>
      tf.norm(tf.reshape(kernelOf(deepHebbSmall({ radius: 25 }), layer), [-1, 16]), 2, 0);
    expect(tf.mean(norms('conv2')).dataSync()[0]).toBeGreaterThan(20);
    expect(tf.mean(norms('conv2')).dataSync()[0]).toBeLessThan(30);
    const scaled = tf.mul(kernelOf(deepHebbSmall(), 'conv1'), 25 / Math.SQRT2);
    expect(kernelOf(deepHebbSmall({ radius: 25 }), 'conv1')).toBeAllClose(scaled, { rtol: 1e-6 });
  });

  it('uses the padding of the same convolution away from the border', () => {
    const zero = deepHebbSmall({ inputShape: [12, 12, 3] });
    const reflect = deepHebbSmall({ inputShape: [12, 12, 3], padding: 'reflect' });
    const x = tf.randomNormal([1, 12, 12, 3], 0, 1, 'float32', 1);
    const conv1 = (model: LayersModel) => {
      const { inputs } = model;
      return new LayersModel({ inputs, outputs: model.getLayer('conv1').output as SymbolicTensor }).predict(
        x,
      ) as tf.Tensor;
    };
    const inner = (y: tf.Tensor) => tf.slice(y, [0, 2, 2, 0], [1, 8, 8, 8]);
    expect(inner(conv1(reflect))).toBeAllClose(inner(conv1(zero)), { rtol: 1e-5, atol: 1e-6 });
    expect(conv1(reflect).arraySync()).not.toEqual(conv1(zero).arraySync());
  });

  it('has RePU with the powers of Triangle', () => {
    const model = deepHebbSmall({ activation: 'repu' });
    const activations = [1, 2, 3].map((i) => model.getLayer(`activation${i}`));
    expect(activations.map((layer) => [layer.getClassName(), layer.getConfig().power])).toEqual([
      ['GhlRepu', 0.7],
      ['GhlRepu', 1.4],
      ['GhlRepu', 1],
    ]);
  });

  it('has the dropout rate of the option', () => {
    expect(deepHebbSmall({ dropout: 0.2 }).getLayer('dropout').getConfig().rate).toBe(0.2);
    expect(fastHebbSmall({ dropout: 0 }).getLayer('dropout').getConfig().rate).toBe(0);
  });

  it('builds the same FastHebb with both paddings, since its convolutions have none', () => {
    expect(values(fastHebbSmall({ padding: 'reflect' }))).toEqual(values(fastHebbSmall()));
  });
});

describe.each(['relu', 'triangle'] as const)('training, with %s', (activation) => {
  it.each([
    ['deepHebbSmall', deepHebbSmall, 8],
    ['fastHebbSmall', fastHebbSmall, 24],
  ])('lowers the loss of %s, moves every weight, and leaks nothing', async (_, build, size) => {
    const model = build({ inputShape: [size, size, 3], classes: 2, activation });
    const optimizer = tf.train.sgd(0.02);
    model.compile({ optimizer, loss: 'categoricalCrossentropy' });
    const [x, y] = [tf.randomNormal([4, size, size, 3], 0, 1, 'float32', 1), tf.oneHot([0, 1, 0, 1], 2)];
    const before = values(model);
    const first = await model.trainOnBatch(x, y);
    const { numTensors } = tf.memory();
    let last = first;
    for (let step = 0; step < 4; step++) last = await model.trainOnBatch(x, y);
    expect(tf.memory().numTensors).toBe(numTensors);
    expect(last).toBeLessThan(first as number);
    for (const [i, weight] of values(model).entries()) expect(weight).not.toEqual(before[i]);
    optimizer.dispose();
  });
});

it('has the loss and gradient of cross-entropy on the logits', () => {
  const model = deepHebbSmall({ inputShape: [8, 8, 3], classes: 3 });
  const [x, y] = [tf.randomNormal([4, 8, 8, 3], 0, 1, 'float32', 1), tf.oneHot([0, 1, 2, 1], 3)];
  const features = new LayersModel({
    inputs: model.inputs,
    outputs: model.getLayer('flatten').output as SymbolicTensor,
  });
  const [kernel, bias] = model.getLayer('classifier').trainableWeights.map((weight) => weight.read() as tf.Variable);
  const compiled = () => tf.mean(metrics.categoricalCrossentropy(y, model.apply(x) as tf.Tensor)) as tf.Scalar;
  const fromLogits = () => {
    const logits = tf.add(tf.matMul(features.apply(x) as tf.Tensor2D, kernel as tf.Tensor as tf.Tensor2D), bias!);
    return tf.losses.softmaxCrossEntropy(y, logits) as tf.Scalar;
  };
  const [ours, theirs] = [compiled, fromLogits].map((loss) => tf.variableGrads(loss, [kernel!, bias!]));
  expect(ours!.value).toBeAllClose(theirs!.value, { rtol: 1e-5 });
  for (const variable of [kernel!, bias!]) {
    expect(ours!.grads[variable.name]!).toBeAllClose(theirs!.grads[variable.name]!, { rtol: 1e-4, atol: 1e-6 });
  }
});

describe('a saved model', () => {
  const everyLayer = () =>
    sequential({
      layers: [
        batchNorm({ inputShape: [6, 6, 2], epsilon: 1e-3, momentum: 0.5, center: true, scale: true }),
        layers.conv2d({ filters: 4, kernelSize: 3, useBias: false }),
        triangle({ power: 0.7 }),
        reflectionPad2d({ padding: 1 }),
        repu({ power: 1.5 }),
        unitNormConv2d({ filters: 3, kernelSize: 2, strides: 2, padding: 'same' }),
        divisiveNorm({ sigma: 0.3 }),
        topFraction({ fraction: 0.9 }),
        layerNorm({ epsilon: 1e-3 }),
        batchNorm(),
        layers.flatten(),
        dropout({ rate: 0.25, seed: 2 ** 40 }),
        layers.dense({ units: 3, activation: 'softmax' }),
      ],
    });
  const saved = async (model: LayersModel) => {
    let artifacts: tf.io.ModelArtifacts | undefined;
    await model.save(
      tf.io.withSaveHandler(async (each) => {
        artifacts = each;
        return { modelArtifactsInfo: { dateSaved: new Date(0), modelTopologyType: 'JSON' } };
      }),
    );
    // Through JSON, as any file would hold it.
    const { modelTopology, weightSpecs, weightData } = artifacts!;
    const data = Buffer.from(weightData as ArrayBuffer).toString('base64');
    return JSON.stringify({ modelTopology, weightSpecs, data });
  };
  const x = () => tf.randomNormal([8, 6, 6, 2], 0, 1, 'float32', 3);
  const trained = async () => {
    const model = everyLayer();
    const optimizer = tf.train.sgd(0.1);
    model.compile({ optimizer, loss: 'meanSquaredError' });
    for (let step = 0; step < 3; step++) await model.trainOnBatch(x(), tf.ones([8, 3]));
    optimizer.dispose();
    return model;
  };

  it('loads after register(), predicts the same and keeps its configuration', async () => {
    const model = await trained();
    const json = await saved(model);
    const load = () => {
      const { modelTopology, weightSpecs, data } = JSON.parse(json);
      const weightData = new Uint8Array(Buffer.from(data, 'base64')).buffer;
      return loadLayersModel(tf.io.fromMemory({ modelTopology, weightSpecs, weightData }));
    };
    // No import has registered anything.
    await expect(load()).rejects.toThrow('Unknown layer: GhlBatchNorm');
    register();
    register();
    const loaded = await load();
    const predict = (each: LayersModel) => (each.predict(x()) as tf.Tensor).dataSync();
    expect(predict(loaded)).toEqual(predict(model));
    expect(loaded.layers.map((layer) => layer.getConfig())).toEqual(model.layers.map((layer) => layer.getConfig()));
    expect(loaded.trainableWeights).toHaveLength(model.trainableWeights.length);
  });
});
