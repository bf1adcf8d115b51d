/**
 * Every layer, initializer, regularizer, constraint, loss and metric of tfjs-layers, with the packages that our READMEs
 * install: one step of training on wasm equals that on the CPU. No file here imports `@tensorflow/tfjs`, whose chained
 * methods tfjs-layers calls.
 */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { backend as wasm } from '@ghl/backend-wasm';
import { chain, gradientDescent, scaleBy } from '@ghl/core';
import { plasticOptimizer } from '@ghl/learner';
import {
  batchNorm,
  divisiveNorm,
  layerNorm,
  reflectionPad2d,
  repu,
  topFraction,
  triangle,
  unitNormConv2d,
} from '@ghl/models';
import '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';

beforeAll(async () => {
  await wasm.activate();
});
afterAll(() => wasm.deactivate());
beforeEach(() => tf.setBackend('wasm'));

const { layers } = tfl;
type Layer = tfl.layers.Layer;
interface Options {
  /** Whether the layer takes whole numbers, so that it must be the first one. */
  readonly whole?: boolean;
  /** Examples in a batch. Default 4. */
  readonly batch?: number;
}
/** The shape of an example, and the layer or a function of a symbolic tensor. */
type Case = [shape: number[], layer: Layer | ((x: tfl.SymbolicTensor) => tfl.SymbolicTensor), options?: Options];

/** Two branches of one input, for the layers that merge. */
const merged = (layer: Layer) => (x: tfl.SymbolicTensor) =>
  layer.apply([x, layers.dense({ units: 3 }).apply(x) as tfl.SymbolicTensor]) as tfl.SymbolicTensor;

/** The layers by their exported names. */
const cases: Record<string, (() => Case) | string> = {
  activation: () => [[3], layers.activation({ activation: 'tanh' })],
  add: () => [[3], merged(layers.add())],
  alphaDropout: () => [[3], layers.alphaDropout({ rate: 0 })],
  average: () => [[3], merged(layers.average())],
  averagePooling1d: () => [[6, 2], layers.averagePooling1d({})],
  averagePooling2d: () => [[6, 5, 2], layers.averagePooling2d({})],
  averagePooling3d: () => [[4, 6, 5, 2], layers.averagePooling3d({})],
  avgPool1d: 'averagePooling1d',
  avgPool2d: 'averagePooling2d',
  avgPool3d: 'averagePooling3d',
  avgPooling1d: 'averagePooling1d',
  avgPooling2d: 'averagePooling2d',
  avgPooling3d: 'averagePooling3d',
  batchNormalization: () => [[3], layers.batchNormalization()],
  bidirectional: () => [
    [4, 3],
    layers.bidirectional({ layer: layers.lstm({ units: 2 }) as never, mergeMode: 'concat' }),
  ],
  concatenate: () => [[3], merged(layers.concatenate())],
  conv1d: () => [[6, 2], layers.conv1d({ filters: 2, kernelSize: 3 })],
  conv2d: () => [[6, 5, 2], layers.conv2d({ filters: 2, kernelSize: 3 })],
  conv2dTranspose: () => [[4, 3, 2], layers.conv2dTranspose({ filters: 2, kernelSize: 3 })],
  conv3d: () => [[4, 6, 5, 2], layers.conv3d({ filters: 2, kernelSize: 3 })],
  conv3dTranspose: () => [[3, 3, 2, 2], layers.conv3dTranspose({ filters: 2, kernelSize: 2 })],
  convLstm2d: () => [[3, 5, 4, 2], layers.convLstm2d({ filters: 2, kernelSize: 2 })],
  cropping2D: () => [[6, 5, 2], layers.cropping2D({ cropping: 1 as never })],
  dense: () => [[3], layers.dense({ units: 2 })],
  depthwiseConv2d: () => [[6, 5, 2], layers.depthwiseConv2d({ kernelSize: 3 })],
  dot: () => [[3], merged(layers.dot({ axes: 1 }))],
  dropout: () => [[3], layers.dropout({ rate: 0 })],
  elu: () => [[3], layers.elu()],
  embedding: () => [[4], layers.embedding({ inputDim: 5, outputDim: 2 }), { whole: true }],
  flatten: () => [[3, 2], layers.flatten()],
  gaussianDropout: () => [[3], layers.gaussianDropout({ rate: 0 })],
  gaussianNoise: () => [[3], layers.gaussianNoise({ stddev: 0 })],
  globalAveragePooling1d: () => [[6, 2], layers.globalAveragePooling1d()],
  globalAveragePooling2d: () => [[6, 5, 2], layers.globalAveragePooling2d({})],
  globalMaxPool1d: 'globalMaxPooling1d',
  globalMaxPool2d: 'globalMaxPooling2d',
  globalMaxPooling1d: () => [[6, 2], layers.globalMaxPooling1d()],
  globalMaxPooling2d: () => [[6, 5, 2], layers.globalMaxPooling2d({})],
  gru: () => [[4, 3], layers.gru({ units: 2 })],
  gruCell: () => [[4, 3], layers.rnn({ cell: layers.gruCell({ units: 2 }) })],
  inputLayer: () => [[3], (x) => x],
  layerNormalization: () => [[3], layers.layerNormalization()],
  leakyReLU: () => [[3], layers.leakyReLU()],
  lstm: () => [[4, 3], layers.lstm({ units: 2 })],
  lstmCell: () => [[4, 3], layers.rnn({ cell: layers.lstmCell({ units: 2 }) })],
  masking: () => [[4, 3], layers.masking()],
  maxPool1d: 'maxPooling1d',
  maxPool2d: 'maxPooling2d',
  maxPooling1d: () => [[6, 2], layers.maxPooling1d({})],
  maxPooling2d: () => [[6, 5, 2], layers.maxPooling2d({})],
  maxPooling3d: () => [[4, 6, 5, 2], layers.maxPooling3d({})],
  maximum: () => [[3], merged(layers.maximum())],
  minimum: () => [[3], merged(layers.minimum())],
  multiply: () => [[3], merged(layers.multiply())],
  permute: () => [[3, 2], layers.permute({ dims: [2, 1] })],
  prelu: () => [[3], layers.prelu()],
  reLU: () => [[3], layers.reLU()],
  repeatVector: () => [[3], layers.repeatVector({ n: 2 })],
  rescaling: () => [[3], layers.rescaling({ scale: 2 })],
  reshape: () => [[4, 3], layers.reshape({ targetShape: [3, 4] })],
  rnn: () => [[4, 3], layers.rnn({ cell: [layers.lstmCell({ units: 2 }), layers.gruCell({ units: 3 })] })],
  separableConv2d: () => [[6, 5, 2], layers.separableConv2d({ filters: 2, kernelSize: 3 })],
  simpleRNN: () => [[4, 3], layers.simpleRNN({ units: 2 })],
  simpleRNNCell: () => [[4, 3], layers.rnn({ cell: layers.simpleRNNCell({ units: 2 }) })],
  softmax: () => [[3], layers.softmax()],
  spatialDropout1d: () => [[4, 3], layers.spatialDropout1d({ rate: 0 })],
  stackedRNNCells: () => [
    [4, 3],
    layers.rnn({ cell: layers.stackedRNNCells({ cells: [layers.simpleRNNCell({ units: 2 })] }) as never }),
  ],
  thresholdedReLU: () => [[3], layers.thresholdedReLU()],
  timeDistributed: () => [[4, 3], layers.timeDistributed({ layer: layers.dense({ units: 2 }) })],
  // The gradient on the CPU is wrong for more than one image.
  upSampling2d: () => [[3, 2, 2], layers.upSampling2d({}), { batch: 1 }],
  zeroPadding2d: () => [[3, 2, 2], layers.zeroPadding2d()],
};

/** The layers of @ghl/models. */
const own: Record<string, () => Case> = {
  batchNorm: () => [[6, 5, 2], batchNorm()],
  divisiveNorm: () => [[6, 5, 2], divisiveNorm()],
  layerNorm: () => [[6, 5, 3], layerNorm()],
  reflectionPad2d: () => [[6, 5, 2], reflectionPad2d({ padding: 2 })],
  repu: () => [[3], repu({ power: 1.5 })],
  topFraction: () => [[6, 5, 2], topFraction({ fraction: 0.4 })],
  triangle: () => [[3], triangle({ power: 1.4 })],
  unitNormConv2d: () => [[6, 5, 2], unitNormConv2d({ filters: 2, kernelSize: 3 })],
};

/** The layers that tfjs-layers supports in no model: the results of the layer alone. */
const alone: Record<string, () => tf.Tensor | tf.Tensor[]> = {
  categoryEncoding: () => encode(tf.tensor2d([[0], [2], [1]], [3, 1], 'int32')),
  centerCrop: () => layers.centerCrop({ height: 3, width: 2 }).apply(image(2, 6, 5, 2)) as tf.Tensor,
  convLstm2dCell: () => {
    const cell = layers.convLstm2dCell({ filters: 2, kernelSize: 2, padding: 'same' });
    cell.build([2, 5, 4, 3]);
    seed(cell);
    const y = cell.call([image(2, 5, 4, 3), image(2, 5, 4, 2), image(2, 5, 4, 2)], {});
    tf.dispose(cell.getWeights());
    return y;
  },
  randomWidth: () => layers.randomWidth({ factor: [0, 0.5], seed: 1 }).apply(image(2, 4, 4, 2)) as tf.Tensor,
  resizing: () => layers.resizing({ height: 6, width: 3 }).apply(image(2, 4, 4, 2)) as tf.Tensor,
};
const encode = (x: tf.Tensor) => layers.categoryEncoding({ numTokens: 3, outputMode: 'oneHot' }).apply(x) as tf.Tensor;
const image = (...shape: number[]) => tf.randomNormal(shape, 0, 1, 'float32', 3);

/** A model of the layer between two dense layers. */
function build([shape, layer, { whole = false } = {}]: Case): tfl.LayersModel {
  const input = tfl.input({ shape });
  const before = whole ? input : (layers.dense({ units: shape.at(-1)! }).apply(input) as tfl.SymbolicTensor);
  let x = typeof layer === 'function' ? layer(before) : (layer.apply(before) as tfl.SymbolicTensor);
  if (x.shape.length > 2) x = layers.flatten().apply(x) as tfl.SymbolicTensor;
  return tfl.model({ inputs: input, outputs: layers.dense({ units: 2 }).apply(x) as tfl.SymbolicTensor });
}

/** The weights after one step, by gradientDescent() or by tf.train.sgd. */
async function step(
  model: tfl.LayersModel,
  [shape, , { whole = false, batch = 4 } = {}]: Case,
  ours: boolean,
): Promise<Float32Array[]> {
  const optimizer = ours ? plasticOptimizer(model, { '*': chain(gradientDescent(), scaleBy(0.1)) }) : tf.train.sgd(0.1);
  model.compile({ optimizer, loss: 'meanSquaredError' });
  const [x, y] = tf.tidy(() => {
    const plain = tf.randomNormal([batch, ...shape], 0, 1, 'float32', 1);
    return [whole ? tf.floor(tf.abs(plain)) : plain, tf.randomNormal([batch, 2], 0, 1, 'float32', 2)] as const;
  });
  await model.trainOnBatch(x, y);
  const weights = model.getWeights().map((weight) => weight.dataSync<'float32'>().slice());
  tf.dispose([x, y]);
  optimizer.dispose();
  model.dispose();
  return weights;
}

/** Sets the weights of a model to numbers that do not depend on the backend. */
function seed(model: tfl.LayersModel | Layer): void {
  tf.tidy(() =>
    model.setWeights(model.getWeights().map(({ shape }, i) => tf.randomNormal(shape, 0, 0.5, 'float32', i + 1))),
  );
}

function expectAlike(got: readonly Float32Array[], expected: readonly Float32Array[]): void {
  expect(got.map(({ length }) => length)).toEqual(expected.map(({ length }) => length));
  for (const [i, values] of got.entries()) {
    const largest = Math.max(1, ...expected[i]!.map(Math.abs));
    for (const [j, value] of values.entries()) expect(Math.abs(value - expected[i]![j]!) / largest).toBeLessThan(1e-4);
  }
}

describe('a layer', () => {
  it('has a case for every export', () => {
    const known = [...Object.keys(cases), ...Object.keys(alone), 'Layer', 'RNN', 'RNNCell', 'input'];
    expect(Object.keys(layers).filter((name) => !known.includes(name))).toEqual([]);
  });

  const named = Object.entries({ ...cases, ...own }).map(
    ([name, each]) => [name, typeof each === 'string' ? cases[each] : each] as [string, () => Case],
  );
  it.each(named)('%s trains with default initializers to the same weights on wasm and on the CPU', async (_, make) => {
    const weights: Float32Array[][] = [];
    for (const [backend, ours] of [
      ['cpu', false],
      ['wasm', false],
      ['wasm', true],
    ] as const) {
      await tf.setBackend(backend);
      const each = make();
      const model = build(each);
      seed(model);
      weights.push(await step(model, each, ours));
    }
    expectAlike(weights[1]!, weights[0]!);
    expectAlike(weights[2]!, weights[0]!);
  });

  it.each(Object.entries(alone))('%s computes the same on wasm and on the CPU', async (_, compute) => {
    const results: Float32Array[][] = [];
    for (const backend of ['cpu', 'wasm']) {
      await tf.setBackend(backend);
      results.push(tf.tidy(() => [compute()].flat().map((y) => y.dataSync<'float32'>().slice())));
    }
    expectAlike(results[1]!, results[0]!);
  });
});

describe('an initializer', () => {
  it.each(Object.keys(tfl.initializers))('%s initializes a kernel and a recurrent kernel', (name) => {
    const options = { constant: { value: 2 }, varianceScaling: { scale: 1, mode: 'fanIn', distribution: 'normal' } };
    const make = tfl.initializers[name as 'constant'] as unknown as (
      options: object,
    ) => ReturnType<typeof tfl.initializers.constant>;
    for (const backend of ['wasm', 'cpu']) {
      tf.tidy(() => {
        tf.setBackend(backend);
        const initializer = make((options as Record<string, object>)[name] ?? {});
        // identity supports square matrices only.
        for (const shape of name === 'identity'
          ? [[3, 3]]
          : [
              [3, 3],
              [2, 6],
              [6, 2],
              [2, 3, 2, 5],
            ]) {
          const values = initializer.apply(shape);
          expect(values.shape).toEqual(shape);
          expect(values.dataSync().every(Number.isFinite)).toBe(true);
        }
      });
    }
  });

  it('orthogonal gives orthonormal columns, or orthonormal rows if these are fewer', () => {
    tf.tidy(() => {
      for (const shape of [
        [3, 3],
        [2, 6],
        [6, 2],
      ]) {
        const w = tfl.initializers.orthogonal({ gain: 1 }).apply(shape) as tf.Tensor2D;
        const wide = shape[0]! < shape[1]!;
        const products = tf.matMul(w, w, !wide, wide);
        const size = Math.min(...shape);
        const off = tf.max(tf.abs(tf.sub(products, tf.eye(size)))).dataSync()[0];
        expect(off).toBeLessThan(1e-5);
      }
    });
  });
});

type Metric = (labels: tf.Tensor, predictions: tf.Tensor) => tf.Tensor;

/** One step of a small network with these options of its first layer and its compilation. */
async function stepWith(
  options: object,
  { loss = 'meanSquaredError', metrics = [] as Metric[] } = {},
): Promise<Float32Array[]> {
  const results: Float32Array[][] = [];
  for (const backend of ['cpu', 'wasm']) {
    await tf.setBackend(backend);
    const model = tfl.sequential({
      layers: [
        layers.dense({ inputShape: [3], units: 4, ...options }),
        layers.dense({ units: 3, activation: 'softmax' }),
      ],
    });
    seed(model);
    const optimizer = plasticOptimizer(model, { '*': chain(gradientDescent(), scaleBy(0.1)) });
    model.compile({ optimizer, loss, metrics });
    const [x, y] = tf.tidy(() => {
      const classes = tf.tensor1d([0, 2, 1, 2]);
      const labels = loss.startsWith('sparse');
      return [
        tf.randomNormal([4, 3], 0, 1, 'float32', 1),
        labels ? classes : tf.cast(tf.oneHot(tf.cast(classes, 'int32'), 3), 'float32'),
      ] as const;
    });
    const history = [await model.trainOnBatch(x, y)].flat() as number[];
    const weights = model.getWeights().map((weight) => weight.dataSync<'float32'>().slice());
    results.push([Float32Array.from(history), ...weights]);
    expect(history.every(Number.isFinite)).toBe(true);
    tf.dispose([x, y]);
    optimizer.dispose();
    model.dispose();
  }
  expectAlike(results[1]!, results[0]!);
  return results[1]!;
}

describe('training on wasm and on the CPU', () => {
  it.each(Object.entries(tfl.regularizers))('gives the same weights with the regularizer %s', async (_, make) => {
    const regularizer = (make as (options: object) => object)({});
    await stepWith({ kernelRegularizer: regularizer, biasRegularizer: regularizer });
  });

  it.each(Object.entries(tfl.constraints))('gives the same weights with the constraint %s', async (_, make) => {
    const constraint = (make as (options: object) => object)({ axis: 0 });
    await stepWith({ kernelConstraint: constraint, biasConstraint: constraint });
  });

  it.each([
    ...['meanSquaredError', 'meanAbsoluteError', 'meanAbsolutePercentageError', 'meanSquaredLogarithmicError'],
    ...['squaredHinge', 'hinge', 'categoricalHinge', 'logcosh', 'categoricalCrossentropy', 'binaryCrossentropy'],
    ...['sparseCategoricalCrossentropy', 'kullbackLeiblerDivergence', 'poisson', 'cosineProximity'],
  ])('gives the same weights with the loss %s', async (loss) => {
    await stepWith({}, { loss });
  });

  it.each([
    'elu',
    'relu',
    'relu6',
    'linear',
    'sigmoid',
    'hardSigmoid',
    'softplus',
    'softsign',
    'tanh',
    'softmax',
    'logSoftmax',
    'swish',
    'mish',
    'gelu',
    'gelu_new',
    'selu',
  ])('gives the same weights with the activation %s', async (activation) => {
    await stepWith({ activation });
  });

  it.each(Object.entries(tfl.metrics))('gives the same result with the metric %s', async (name, metric) => {
    const loss = name.startsWith('sparse') ? 'sparseCategoricalCrossentropy' : 'meanSquaredError';
    await stepWith({}, { loss, metrics: [metric as Metric] });
  });
});

it('computes the metric r2Score as 1 − Σ(y − ŷ)² / Σ(y − ȳ)²', () => {
  tf.tidy(() => {
    const r2 = tfl.metrics.r2Score(tf.tensor1d([1, 2, 3, 6]), tf.tensor1d([1, 3, 3, 5])).dataSync()[0];
    expect(r2).toBeCloseTo(1 - 2 / 14, 6);
  });
});

describe('a program that imports one of our packages', () => {
  const start = {
    '@ghl/learner': "import '@tensorflow/tfjs-backend-cpu'; import '@ghl/learner';",
    '@ghl/models': "import '@tensorflow/tfjs-backend-cpu'; import '@ghl/models';",
    '@ghl/backend-wasm': "import { activate } from '@ghl/backend-wasm'; await activate();",
    '@ghl/backend-webgpu': "import '@tensorflow/tfjs-backend-cpu'; import '@ghl/backend-webgpu';",
  };
  it.each(Object.entries(start))('trains an LSTM if the import is %s', async (_, imports) => {
    const program = `${imports}
      import * as tf from '@tensorflow/tfjs-core';
      import * as tfl from '@tensorflow/tfjs-layers';
      const model = tfl.sequential({ layers: [tfl.layers.lstm({ units: 2, inputShape: [4, 3] })] });
      model.compile({ optimizer: tf.train.sgd(0.1), loss: 'meanSquaredError' });
      console.log(typeof (await model.trainOnBatch(tf.zeros([2, 4, 3]), tf.zeros([2, 2]))));`;
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', program]);
    expect(stdout.trim()).toBe('number');
  });
});
