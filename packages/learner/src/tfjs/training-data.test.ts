import '@tensorflow/tfjs-backend-cpu';
import { chain, gradientDescent, local, maxAbs, scaleBy } from '@ghl/core';
import { oja } from '@ghl/rule-oja';
import * as tf from '@tensorflow/tfjs-core';
import * as tfd from '@tensorflow/tfjs-data';
import * as tfl from '@tensorflow/tfjs-layers';
import { beforeAll, describe, expect, it } from 'vitest';
import { type PlasticOptimizer, plasticOptimizer } from '../index.js';
import { own, random, twins, values } from '../model.fixture.js';

beforeAll(async () => {
  await tf.setBackend('cpu');
});

const CLASSES = 3;
const descend = () => chain(gradientDescent(), scaleBy(0.1));

/** One input and one output, or two of each. */
function net(count: 1 | 2 = 1): tfl.LayersModel {
  const inputs = ['a', 'b'].slice(0, count).map((name) => tfl.input({ name, shape: [4] }));
  const joined = count === 1 ? inputs[0]! : (tfl.layers.add().apply(inputs) as tfl.SymbolicTensor);
  const hidden = tfl.layers.dense({ name: 'hidden', units: 4, activation: 'tanh' }).apply(joined) as tfl.SymbolicTensor;
  const outputs = ['left', 'right']
    .slice(0, count)
    .map((name) => tfl.layers.dense({ name, units: CLASSES, activation: 'softmax' }).apply(hidden));
  return own(tfl.model({ inputs, outputs: outputs as tfl.SymbolicTensor[] }));
}

function compiled(model: tfl.LayersModel, args: Partial<tfl.ModelCompileArgs> = {}): PlasticOptimizer {
  const optimizer = own(plasticOptimizer(model, { hidden: chain(local(maxAbs(oja())), scaleBy(0.1)), '*': descend() }));
  model.compile({ optimizer, loss: 'categoricalCrossentropy', ...args });
  return optimizer;
}

/** One element per epoch, from the same tensors. */
const dataset = (element: () => unknown) =>
  tfd.generator(function* () {
    yield element();
  } as never) as tfd.Dataset<tf.TensorContainerObject>;

const indices = (dtype: 'int32' | 'bool' | 'float32') => tf.tensor1d([0, 1, 1, 0], dtype);
const oneHot = (dtype: 'int32' | 'bool' | 'float32') =>
  tf.tidy(() => tf.cast(tf.oneHot(tf.tensor1d([0, 1, 1, 0], 'int32'), CLASSES), dtype));

const throughFit = (model: tfl.LayersModel, xs: tf.Tensor, ys: tf.Tensor) =>
  model.fit(xs, ys, { epochs: 2, shuffle: false, verbose: 0, validationData: [xs, ys] });
const ways: Record<string, (model: tfl.LayersModel, xs: tf.Tensor, ys: tf.Tensor) => Promise<unknown>> = {
  fit: throughFit,
  fitDataset: (model, xs, ys) => {
    const data = dataset(() => ({ xs: tf.clone(xs), ys: tf.clone(ys) }));
    return model.fitDataset(data, { epochs: 2, verbose: 0, validationData: data });
  },
  'fitDataset by name': (model, xs, ys) =>
    model.fitDataset(
      dataset(() => ({ xs: { a: tf.clone(xs) }, ys: { left: tf.clone(ys) } })),
      { epochs: 2, verbose: 0 },
    ),
  trainOnBatch: (model, xs, ys) => model.trainOnBatch(xs, ys),
};

describe('labels of whole numbers', () => {
  const losses: [loss: string, labels: (dtype: 'int32' | 'bool' | 'float32') => tf.Tensor][] = [
    ['sparseCategoricalCrossentropy', indices],
    ['sparseCategoricalCrossentropy', (dtype) => tf.tidy(() => tf.expandDims(indices(dtype), 1))],
    ...[
      'categoricalCrossentropy',
      'binaryCrossentropy',
      'meanSquaredError',
      'meanAbsoluteError',
      'meanAbsolutePercentageError',
      'meanSquaredLogarithmicError',
      'kullbackLeiblerDivergence',
      'squaredHinge',
      'hinge',
      'categoricalHinge',
      'logcosh',
      'poisson',
      'cosineProximity',
    ].map((loss): [string, typeof oneHot] => [loss, oneHot]),
  ];
  const cases = losses.flatMap(([loss, labels]) =>
    Object.keys(ways).flatMap((way) =>
      (['int32', 'bool'] as const).map((dtype) => [loss, way, dtype, labels] as const),
    ),
  );

  it.each(cases)('train as the same labels in float32 do: %s, %s, %s', async (loss, way, dtype, labels) => {
    const [model, oracle] = twins(net);
    for (const each of [model, oracle]) compiled(each, { loss, metrics: ['accuracy'] });
    const [whole, floats] = [own(labels(dtype)), own(labels('float32'))];
    const xs = random([4, 4], 1);
    const { numTensors } = tf.memory();
    const [actual, expected] = [await ways[way]!(model, xs, whole), await ways[way]!(oracle, xs, floats)];
    expect(tf.memory().numTensors).toBe(numTensors);
    expect(values(model)).toEqual(values(oracle));
    expect(actual instanceof tfl.History ? actual.history : actual).toEqual(
      expected instanceof tfl.History ? expected.history : expected,
    );
    expect(whole.isDisposed).toBe(false);
  });

  it('reach a custom loss without a cast', async () => {
    const model = net();
    const seen = new Set<string>();
    const optimizer = compiled(model, {
      loss: (labels: tf.Tensor, output: tf.Tensor) => {
        seen.add(labels.dtype);
        return tf.losses.softmaxCrossEntropy(tf.oneHot(tf.reshape(labels, [-1]) as tf.Tensor1D, CLASSES), output);
      },
    });
    const data = dataset(() => ({ xs: tf.clone(random([4, 4], 1)), ys: indices('int32') }));
    await model.fitDataset(data, { epochs: 1, verbose: 0 });
    expect([optimizer.step, ...seen]).toEqual([1, 'int32']);
  });

  it('may be one tensor for two outputs, and the input itself', async () => {
    const model = net(2);
    const optimizer = compiled(model, { loss: 'meanSquaredError' });
    const input = tfl.input({ shape: [CLASSES] });
    const same = own(tfl.model({ inputs: input, outputs: tfl.layers.dense({ units: CLASSES }).apply(input) as never }));
    const ofSame = own(plasticOptimizer(same, { '*': descend() }));
    same.compile({ optimizer: ofSame, loss: 'meanSquaredError' });
    const { numTensors } = tf.memory();
    await model.fitDataset(
      dataset(() => {
        const labels = oneHot('int32');
        return { xs: [tf.zeros([4, 4]), tf.zeros([4, 4])], ys: { left: labels, right: labels } };
      }),
      { epochs: 2, verbose: 0 },
    );
    await same.fitDataset(
      dataset(() => {
        const both = oneHot('int32');
        return { xs: both, ys: both };
      }),
      { epochs: 2, verbose: 0 },
    );
    expect([optimizer.step, ofSame.step]).toEqual([2, 2]);
    expect(tf.memory().numTensors).toBe(numTensors);
  });
});

describe('class weights', () => {
  const classWeight = { 0: 1, 1: 3, 2: 0.5 };

  it.each(['fit', 'fitDataset'] as const)('scale the losses, through %s', async (way) => {
    const [model, stock] = twins(net);
    const optimizer = own(plasticOptimizer(model, { '*': descend() }));
    model.compile({ optimizer, loss: 'categoricalCrossentropy' });
    stock.compile({ optimizer: own(tf.train.sgd(0.1)), loss: 'categoricalCrossentropy' });
    const [xs, ys] = [random([4, 4], 1), own(oneHot('float32'))];
    const before = values(model);
    for (const each of [model, stock]) {
      if (way === 'fit') await each.fit(xs, ys, { epochs: 2, verbose: 0, classWeight });
      else {
        const data = dataset(() => ({ xs: tf.clone(xs), ys: tf.clone(ys) }));
        tf.engine().startScope(); // tfjs leaks the weights
        await each.fitDataset(data, { epochs: 2, verbose: 0, classWeight });
        tf.engine().endScope();
      }
    }
    values(model).forEach((each, i) => {
      expect(each).toBeAllClose(values(stock)[i] as number[], { rtol: 1e-4, atol: 1e-6 });
      expect(each).not.toEqual(before[i]);
    });
  });

  it.each(['fit', 'fitDataset'] as const)('are refused without a weight for each class, through %s', async (way) => {
    const model = net();
    const optimizer = compiled(model);
    const [xs, ys] = [random([4, 4], 1), own(oneHot('float32'))];
    tf.engine().startScope();
    const data = dataset(() => ({ xs: tf.clone(xs), ys: tf.clone(ys) }));
    const args = { epochs: 1, verbose: 0, classWeight: { 0: 1 } } as const;
    await expect(way === 'fit' ? model.fit(xs, ys, args) : model.fitDataset(data, args)).rejects.toMatchObject({
      name: 'ConfigurationError',
      code: 'CLASS_WEIGHT',
      message: expect.stringContaining('class 1'),
    });
    tf.engine().endScope();
    expect(optimizer.step).toBe(0);
  });
});

describe('weights of examples', () => {
  const [xs, ys] = [() => tf.ones([4, 4]), () => oneHot('float32')];
  const weight = () => tf.ones([4]);
  type Attempt = (model: tfl.LayersModel) => unknown;
  const attempts: Record<string, Attempt> = {
    'sampleWeight of fit': (model) => model.fit(xs(), ys(), { verbose: 0, sampleWeight: weight() }),
    'sampleWeight of evaluate': (model) => model.evaluate(xs(), ys(), { sampleWeight: weight() } as object),
    'validationData of fit': (model) => model.fit(xs(), ys(), { verbose: 0, validationData: [xs(), ys(), weight()] }),
    'validationData of fitDataset': (model) =>
      model.fitDataset(
        dataset(() => ({ xs: xs(), ys: ys() })),
        { epochs: 1, verbose: 0, validationData: [xs(), ys(), weight()] as never },
      ),
    'sampleWeight of fitDataset': (model) =>
      model.fitDataset(
        dataset(() => ({ xs: xs(), ys: ys() })),
        { epochs: 1, verbose: 0, sampleWeight: weight() } as never,
      ),
    ...Object.fromEntries(
      ['sampleWeight', 'sampleWeights', 'sample_weight', 'weights'].map((name): [string, Attempt] => [
        `${name} in a dataset`,
        (model) =>
          model.fitDataset(
            dataset(() => ({ xs: xs(), ys: ys(), [name]: weight() })),
            { epochs: 1, verbose: 0 },
          ),
      ]),
    ),
    'sampleWeight in a dataset of evaluateDataset': (model) =>
      model.evaluateDataset(
        dataset(() => ({ xs: xs(), ys: ys(), sampleWeight: weight() })),
        {},
      ),
  };

  it.each(Object.keys(attempts))('are refused, and nothing moves: %s', async (what) => {
    for (const model of [
      net(),
      own(tfl.sequential({ layers: [tfl.layers.dense({ units: CLASSES, inputShape: [4] })] })),
    ]) {
      const optimizer = own(plasticOptimizer(model, { '*': descend() }));
      model.compile({ optimizer, loss: 'meanSquaredError' });
      const before = values(model);
      tf.engine().startScope();
      const error = await (async () => attempts[what]!(model))().catch((each: unknown) => each);
      tf.engine().endScope();
      expect(error).toMatchObject({ name: 'UnsupportedError', code: 'SAMPLE_WEIGHT' });
      expect(values(model)).toEqual(before);
      expect(optimizer.step).toBe(0);
    }
  });

  it('leak no tensors of the element of a dataset', async () => {
    const model = net();
    compiled(model);
    const tensors: tf.Tensor[] = [];
    const keep = (tensor: tf.Tensor) => {
      tensors.push(tensor);
      return tensor;
    };
    const data = dataset(() => ({ xs: keep(xs()), ys: keep(ys()), sampleWeight: keep(weight()) }));
    await expect(model.fitDataset(data, { epochs: 1, verbose: 0 })).rejects.toMatchObject({ code: 'SAMPLE_WEIGHT' });
    expect(tensors.map(({ isDisposed }) => isDisposed)).toEqual([true, true, true]);
  });
});

describe('incomplete data', () => {
  const x = () => tf.ones([4, 4]);
  const y = () => oneHot('float32');
  const elements: [what: string, element: () => unknown, error: object][] = [
    [
      'labels by name',
      () => ({ xs: [x(), x()], ys: { left: y() } }),
      { code: 'LABEL_MISSING', message: /'right'.*left/ },
    ],
    ['labels by another name', () => ({ xs: [x(), x()], ys: { left: y(), rigth: y() } }), { code: 'LABEL_MISSING' }],
    ['labels by place', () => ({ xs: [x(), x()], ys: [y()] }), { code: 'LABEL_SHAPE' }],
    ['labels at all', () => ({ xs: [x(), x()] }), { code: 'LABEL_MISSING', message: /'ys'/ }],
    ['an input by name', () => ({ xs: { a: x() }, ys: [y(), y()] }), { code: 'INPUT_MISSING', message: /'b'/ }],
    ['an input by place', () => ({ xs: [x()], ys: [y(), y()] }), { code: 'INPUT_SHAPE' }],
    ['inputs at all', () => ({ ys: [y(), y()] }), { code: 'INPUT_MISSING' }],
    ['both', () => [x(), y()], { code: 'INPUT_MISSING' }],
    ['an example of the labels', () => ({ xs: [x(), x()], ys: [y(), tf.ones([3, CLASSES])] }), { code: 'LABEL_SHAPE' }],
    ['an example of an input', () => ({ xs: [x(), tf.ones([3, 4])], ys: [y(), y()] }), { code: 'INPUT_SHAPE' }],
    ['a feature', () => ({ xs: [x(), tf.ones([4, 3])], ys: [y(), y()] }), { code: 'INPUT_SHAPE', message: /'b'.*4,3/ }],
    ['an axis', () => ({ xs: [x(), tf.ones([4])], ys: [y(), y()] }), { code: 'INPUT_SHAPE' }],
    ['tensors', () => ({ xs: [x(), 3], ys: [y(), y()] }), { code: 'INPUT_SHAPE', message: /3/ }],
  ];

  it.each(elements)('are refused in a dataset: %s', async (_, element, { message, ...error }: { message?: RegExp }) => {
    const model = net(2);
    const optimizer = compiled(model);
    const before = values(model);
    const expected = {
      name: 'DataError',
      ...error,
      ...(message && { message: expect.stringMatching(message) }),
      help: expect.stringMatching(/./),
    };
    tf.engine().startScope();
    await expect(model.fitDataset(dataset(element), { epochs: 1, verbose: 0 })).rejects.toMatchObject(expected);
    await expect(model.evaluateDataset(dataset(element), {})).rejects.toMatchObject(expected);
    tf.engine().endScope();
    expect(values(model)).toEqual(before);
    expect(optimizer.step).toBe(0);
  });

  it.each<[string, object, object, object]>([
    ['labels', { a: 0, b: 0 }, { left: 1 }, { code: 'LABEL_MISSING', message: expect.stringContaining("'right'") }],
    ['an input', { a: 0 }, { left: 1, right: 1 }, { code: 'INPUT_MISSING', message: expect.stringContaining("'b'") }],
  ])('are refused under fit, trainOnBatch and evaluate: %s', async (_, inputs, labels, error) => {
    const model = net(2);
    const optimizer = compiled(model);
    const named = (record: object) =>
      Object.fromEntries(Object.entries(record).map(([name, kind]) => [name, kind === 0 ? x() : y()]));
    tf.engine().startScope();
    const [xs, ys] = [named(inputs), named(labels)];
    await expect(model.fit(xs, ys, { verbose: 0 })).rejects.toMatchObject(error);
    await expect(model.trainOnBatch(xs, ys)).rejects.toMatchObject(error);
    expect(() => model.evaluate(xs as never, ys as never)).toThrow(expect.objectContaining(error));
    tf.engine().endScope();
    expect(optimizer.step).toBe(0);
  });

  it('are accepted if only additional names are present', async () => {
    const model = net(2);
    const optimizer = compiled(model);
    const data = dataset(() => ({ xs: { b: x(), a: x(), c: tf.zeros([1]) }, ys: [y(), y()], id: 'first' }));
    tf.engine().startScope(); // tfjs disposes of the tensors that it uses
    await model.fitDataset(data, { epochs: 2, verbose: 0 });
    tf.engine().endScope();
    expect(optimizer.step).toBe(2);
  });

  it('keep the errors of tfjs if another optimizer trains the model', async () => {
    const model = net(2);
    compiled(model);
    model.compile({ optimizer: own(tf.train.sgd(0.1)), loss: 'meanSquaredError' });
    tf.engine().startScope();
    const data = dataset(() => ({ xs: [x(), x()], ys: { left: y() } }));
    const error = await model.fitDataset(data, { epochs: 1, verbose: 0 }).catch((each) => each);
    tf.engine().endScope();
    expect(error.name).not.toBe('DataError');
  });
});
