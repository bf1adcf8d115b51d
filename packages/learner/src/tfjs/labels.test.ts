import '@tensorflow/tfjs-backend-cpu';
import { chain, gradientDescent, maxAbs, scaleBy, threeFactor } from '@ghl/core';
import { sign } from '@ghl/modulator-sign';
import { swta } from '@ghl/rule-swta';
import * as tf from '@tensorflow/tfjs-core';
import * as tfd from '@tensorflow/tfjs-data';
import * as tfl from '@tensorflow/tfjs-layers';
import { beforeAll, describe, expect, it } from 'vitest';
import { type PlasticOptimizer, plasticOptimizer } from '../index.js';
import { own, random, values } from '../model.fixture.js';

beforeAll(async () => {
  await tf.setBackend('cpu');
});

const rest = chain(gradientDescent(), scaleBy(0.1));
const ghl = chain(threeFactor(maxAbs(swta()), sign()), scaleBy(0.1));
const CLASSES = 4;

/** Two outputs on request only. */
function net(kind: 'sequential' | 'functional' | 'two outputs'): tfl.LayersModel {
  const first = tfl.layers.dense({ name: 'first', units: 3, activation: 'tanh', inputShape: [5] });
  const out = tfl.layers.dense({ name: 'out', units: CLASSES, activation: 'softmax' });
  if (kind === 'sequential') return own(tfl.sequential({ layers: [first, out] }));
  const input = tfl.input({ shape: [5] });
  const hidden = first.apply(input) as tfl.SymbolicTensor;
  const outputs = [out.apply(hidden) as tfl.SymbolicTensor];
  if (kind === 'two outputs') {
    outputs.push(tfl.layers.dense({ name: 'value', units: 1 }).apply(hidden) as tfl.SymbolicTensor);
  }
  return own(tfl.model({ inputs: input, outputs }));
}

function compiled(model: tfl.LayersModel, loss: tfl.ModelCompileArgs['loss']): PlasticOptimizer {
  const optimizer = own(plasticOptimizer(model, { first: ghl, '*': rest }));
  model.compile({ optimizer, loss });
  return optimizer;
}

/** One new batch per epoch. */
const dataset = (xs: tf.Tensor, ys: tf.TensorContainer) =>
  tfd.generator(function* () {
    yield {
      xs: tf.clone(xs),
      ys: ys instanceof tf.Tensor ? tf.clone(ys) : (ys as tf.Tensor[]).map((y) => tf.clone(y)),
    };
  } as never) as tfd.Dataset<tf.TensorContainer>;

/** Checks that every training method of tfjs refuses the labels and moves nothing. */
async function refusals(
  model: tfl.LayersModel,
  optimizer: PlasticOptimizer,
  xs: tf.Tensor,
  ys: tf.Tensor | tf.Tensor[],
): Promise<unknown[]> {
  const before = values(model);
  const errors: unknown[] = [];
  const ways = [
    () => model.fitDataset(dataset(xs, ys), { epochs: 1, verbose: 0 }),
    () => model.fit(xs, ys, { epochs: 1, verbose: 0 }),
    () => model.trainOnBatch(xs, ys),
  ];
  for (const train of ways) {
    tf.engine().startScope(); // tfjs leaks when training throws
    errors.push(await train().catch((error: unknown) => error));
    tf.engine().endScope();
  }
  expect(values(model)).toEqual(before);
  expect(optimizer.step).toBe(0);
  return errors;
}

describe('labels of the wrong shape', () => {
  const losses = ['categoricalCrossentropy', 'meanSquaredError', 'meanAbsoluteError', 'binaryCrossentropy', 'hinge'];
  const cases = losses.flatMap((loss) =>
    [[CLASSES], [CLASSES, 1], [CLASSES, CLASSES + 1], [CLASSES, 1, CLASSES]].map((shape) => [loss, shape] as const),
  );

  it.each(cases)('are refused, %s of %j', async (loss, shape) => {
    const model = net('sequential');
    const optimizer = compiled(model, loss);
    // As many examples as classes, so that one label per example would broadcast.
    const actual = await refusals(model, optimizer, random([CLASSES, 5], 1), random([...shape], 2));
    for (const error of actual) expect(error).toMatchObject({ name: 'DataError', code: 'LABEL_SHAPE' });
    const [{ message }] = actual as [Error];
    expect(message).toContain(`[${shape}]`);
    expect(message).toContain(`[${CLASSES},${CLASSES}]`);
  });

  it('are refused as one-hot labels if the loss takes indices', async () => {
    const model = net('functional');
    const optimizer = compiled(model, 'sparseCategoricalCrossentropy');
    const actual = await refusals(model, optimizer, random([3, 5], 1), own(tf.oneHot([0, 1, 2], CLASSES)));
    for (const error of actual) expect(error).toMatchObject({ code: 'LABEL_SHAPE' });
  });

  it.each([
    ['by name', { out: 'categoricalCrossentropy', value: 'meanSquaredError' }],
    ['by place', ['categoricalCrossentropy', 'meanSquaredError']],
  ] as const)('are refused with the name of their output, losses %s', async (_, loss) => {
    const model = net('two outputs');
    const optimizer = compiled(model, loss as never);
    const actual = await refusals(model, optimizer, random([3, 5], 1), [random([3, CLASSES], 2), random([3, 2], 3)]);
    for (const error of actual) {
      expect(error).toMatchObject({ code: 'LABEL_SHAPE', message: expect.stringMatching(/value.*\[3,2\]/) });
    }
  });

  it.each(['fit', 'fitDataset'] as const)('do not affect correct labels under %s', async (way) => {
    const model = net('functional');
    const optimizer = compiled(model, 'sparseCategoricalCrossentropy');
    const x = random([3, 5], 1);
    for (const y of [own(tf.tensor1d([0, 1, 2])), own(tf.tensor2d([[0], [1], [2]]))]) {
      if (way === 'fit') await model.fit(x, y, { epochs: 1, verbose: 0 });
      else await model.fitDataset(dataset(x, y), { epochs: 1, verbose: 0 });
    }
    expect(optimizer.step).toBe(2);
  });

  it('are accepted by a custom loss', async () => {
    const model = net('functional');
    const optimizer = compiled(model, (labels: tf.Tensor, output: tf.Tensor) =>
      tf.losses.softmaxCrossEntropy(tf.oneHot(tf.cast(labels, 'int32') as tf.Tensor1D, CLASSES), output),
    );
    await model.fitDataset(dataset(random([3, 5], 1), own(tf.tensor1d([0, 1, 2]))), { epochs: 1, verbose: 0 });
    expect(optimizer.step).toBe(1);
  });
});

describe('inputs of the wrong shape', () => {
  it('are refused in fit', async () => {
    const model = net('sequential');
    const optimizer = compiled(model, 'categoricalCrossentropy');
    tf.engine().startScope();
    const error = await model.fit(random([3, 6], 1), random([3, CLASSES], 2), { verbose: 0 }).catch((each) => each);
    tf.engine().endScope();
    expect(error).toMatchObject({ name: 'DataError', code: 'INPUT_SHAPE', help: expect.stringContaining('[null,5]') });
    expect(optimizer.step).toBe(0);
  });

  it('keep the errors of tfjs if another optimizer trains the model', async () => {
    const model = net('sequential');
    compiled(model, 'categoricalCrossentropy');
    model.compile({ optimizer: own(tf.train.sgd(0.1)), loss: 'categoricalCrossentropy' });
    const error = await model.fit(random([3, 6], 1), random([3, CLASSES], 2), { verbose: 0 }).catch((each) => each);
    expect(error.name).not.toBe('DataError');
  });
});
