import '@tensorflow/tfjs-backend-cpu';
import { chain, gradientDescent, local, maxAbs, scaleBy } from '@ghl/core';
import { oja } from '@ghl/rule-oja';
import * as tf from '@tensorflow/tfjs-core';
import * as tfd from '@tensorflow/tfjs-data';
import * as tfl from '@tensorflow/tfjs-layers';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import { type Assignment, type PlasticOptimizer, plasticOptimizer } from './index.js';
import { lossOf, own, random, values, variableOf } from './model.fixture.js';

beforeAll(async () => {
  await tf.setBackend('cpu');
});

const descend = () => chain(gradientDescent(), scaleBy(0.1));

/** dense → nested (dense → batch norm) → dense. */
function net(): tfl.LayersModel {
  const inner = tfl.sequential({
    name: 'inner',
    layers: [
      tfl.layers.dense({ name: 'dense', units: 3, inputShape: [3] }),
      tfl.layers.batchNormalization({ name: 'bn' }),
    ],
  });
  return own(
    tfl.sequential({
      layers: [
        tfl.layers.dense({ name: 'first', units: 3, inputShape: [3] }),
        own(inner),
        tfl.layers.dense({ name: 'out', units: 2 }),
      ],
    }),
  );
}

const dataset = (xs: tf.Tensor, ys: tf.Tensor) =>
  tfd.generator(function* () {
    yield { xs: tf.clone(xs), ys: tf.clone(ys) };
  } as never) as tfd.Dataset<tf.TensorContainer>;

type Way = (model: tfl.LayersModel, optimizer: PlasticOptimizer, xs: tf.Tensor, ys: tf.Tensor) => unknown;
const ways: Record<string, Way> = {
  fit: (model, _, xs, ys) => model.fit(xs, ys, { epochs: 3, verbose: 0 }),
  fitDataset: (model, _, xs, ys) => model.fitDataset(dataset(xs, ys), { epochs: 3, verbose: 0 }),
  trainOnBatch: (model, _, xs, ys) => model.trainOnBatch(xs, ys),
  'minimize()': (model, optimizer, xs) => optimizer.minimize(lossOf(model, xs)),
  'minimize() with a list': (model, optimizer, xs) =>
    optimizer.minimize(lossOf(model, xs), { varList: [variableOf(model, 'out')] }),
  'computeGradients()': (model, optimizer, xs) => optimizer.computeGradients(lossOf(model, xs)),
  'applyGradients()': (_, optimizer) => optimizer.applyGradients({}),
};

const freezings: Record<string, { readonly assignment?: Assignment; freeze?(model: tfl.LayersModel): void }> = {
  'the model': {
    freeze: (model) => {
      model.trainable = false;
    },
  },
  'every layer': {
    freeze: (model) => {
      for (const layer of model.layers) layer.trainable = false;
    },
  },
  'every weight': {
    freeze: (model) => {
      for (const weight of model.trainableWeights) (weight as { trainable: boolean }).trainable = false;
    },
  },
  "every updater, by '*'": { assignment: { '*': null } },
  'every updater, by name': { assignment: { first: null, inner: null, out: null } },
  'the nested model, and every updater around it': {
    assignment: { inner: chain(gradientDescent()), '*': null },
    freeze: (model) => {
      model.getLayer('inner').trainable = false;
    },
  },
};

const cases = Object.keys(freezings).flatMap((freezing) => Object.keys(ways).map((way) => [freezing, way] as const));

describe.each(cases)('a frozen model: %s, %s', (freezing, way) => {
  const { assignment = { '*': descend() }, freeze = () => {} } = freezings[freezing]!;

  it.each(['before compile()', 'after compile()'])('is refused, frozen %s', async (when) => {
    const model = net();
    if (when === 'before compile()') freeze(model);
    const optimizer = own(plasticOptimizer(model, assignment));
    model.compile({ optimizer, loss: 'meanSquaredError' });
    freeze(model);
    const before = values(model);
    const [xs, ys] = [random([4, 3], 1), random([4, 2], 2)];
    const warn = vi.spyOn(console, 'warn').mockImplementation(() => {}); // the tensors of tfjs, from compile()
    tf.engine().startScope(); // tfjs leaks when training throws
    const error = await (async () => ways[way]!(model, optimizer, xs, ys))().catch((each: unknown) => each);
    tf.engine().endScope();
    warn.mockRestore();
    expect(error).toMatchObject({ name: 'ConfigurationError', code: 'NOTHING_TRAINABLE' });
    expect(values(model)).toEqual(before);
    expect(optimizer.step).toBe(0);
  });
});

describe('an empty list', () => {
  it.each(['[]', 'only frozen variables'])('is refused: %s', (what) => {
    const model = net();
    const optimizer = own(plasticOptimizer(model, { out: null, '*': descend() }));
    const varList = what === '[]' ? [] : [variableOf(model, 'out')];
    expect(() => optimizer.minimize(lossOf(model, random([4, 3], 1)), { varList })).toThrow(
      expect.objectContaining({ code: 'NOTHING_TRAINABLE' }),
    );
  });
});

describe('a generator and a discriminator', () => {
  const layers = (...units: number[]) => units.map((each) => tfl.layers.dense({ units: each, activation: 'tanh' }));
  const model = (name: string, inputs: number, ...units: number[]) => {
    const [first, ...rest] = layers(...units) as tfl.layers.Layer[];
    const input = tfl.input({ shape: [inputs] });
    const output = rest.reduce(
      (tensor, layer) => layer.apply(tensor) as tfl.SymbolicTensor,
      first!.apply(input) as tfl.SymbolicTensor,
    );
    return tfl.model({ name, inputs: input, outputs: output }); // the combined model disposes of it
  };

  function gan(ofDiscriminator: Assignment) {
    const [generator, discriminator] = [model('generator', 2, 4, 3), model('discriminator', 3, 4, 1)];
    const own1 = own(plasticOptimizer(discriminator, ofDiscriminator));
    discriminator.compile({ optimizer: own1, loss: 'meanSquaredError' });
    discriminator.trainable = false;
    const noise = tfl.input({ shape: [2] });
    const combined = own(
      tfl.model({
        inputs: noise,
        outputs: discriminator.apply(generator.apply(noise)) as tfl.SymbolicTensor,
      }),
    );
    const own2 = own(plasticOptimizer(combined, { '*': descend() }));
    combined.compile({ optimizer: own2, loss: 'meanSquaredError' });
    return { generator, discriminator, combined, optimizers: [own1, own2] };
  }

  it.each<[string, () => Assignment]>([
    ['by the gradient', () => ({ '*': descend() })],
    ['by Adam', () => ({ '*': own(tf.train.adam(0.1)) })],
    ['by a rule', () => ({ '**/kernel': chain(local(maxAbs(oja())), scaleBy(0.1)), '*': descend() })],
  ])('alternate, with the discriminator %s', async (_, assignment) => {
    const { generator, discriminator, combined, optimizers } = gan(assignment());
    const [real, noise] = [random([4, 3], 1), random([4, 2], 2)];
    const [one, zero] = [own(tf.ones([4, 1])), own(tf.zeros([4, 1]))];
    for (const round of [1, 2]) {
      const fake = generator.predict(noise) as tf.Tensor;
      const parts = () => [values(generator), values(discriminator)].map(String);
      let before = parts();
      discriminator.trainable = true;
      await discriminator.trainOnBatch(real, one);
      await discriminator.trainOnBatch(fake, zero);
      expect(parts().map((each, i) => each !== before[i])).toEqual([false, true]);
      before = parts();
      discriminator.trainable = false;
      await combined.trainOnBatch(noise, one);
      expect(parts().map((each, i) => each !== before[i])).toEqual([true, false]);
      expect(optimizers.map(({ step }) => step)).toEqual([2 * round, round]);
      fake.dispose();
    }
  });

  it('throw NOTHING_TRAINABLE if the discriminator is left frozen', async () => {
    const { discriminator } = gan({ '*': descend() });
    const one = own(tf.ones([4, 1]));
    const before = values(discriminator);
    tf.engine().startScope();
    await expect(discriminator.trainOnBatch(random([4, 3], 1), one)).rejects.toMatchObject({
      code: 'NOTHING_TRAINABLE',
      message: expect.stringContaining("'discriminator'"),
      help: expect.stringContaining('trainable = true'),
    });
    tf.engine().endScope();
    expect(values(discriminator)).toEqual(before);
  });
});
