/** Weight constraints hold after every step, for every updater. */
import '@tensorflow/tfjs-backend-cpu';
import { chain, decayWeights, gradientDescent, local, maxAbs, scaleBy, threeFactor } from '@ghl/core';
import { sign } from '@ghl/modulator-sign';
import { hpca } from '@ghl/rule-hpca';
import { oja } from '@ghl/rule-oja';
import { swta } from '@ghl/rule-swta';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { beforeAll, describe, expect, it } from 'vitest';
import { type Assignment, plasticOptimizer, type Updater } from './index.js';
import { lossOf, own, ownTf, random, tfOptimizers, values, variableOf } from './model.fixture.js';

beforeAll(async () => {
  await tf.setBackend('cpu');
});

const rest = chain(gradientDescent(), scaleBy(0.3));
type Constraint = ReturnType<typeof tfl.constraints.nonNeg>;
const Base = Object.getPrototypeOf(tfl.constraints.nonNeg().constructor) as new () => Constraint;

/** A custom constraint to the range [−0.1, 0.2]. */
class Box extends Base {
  static className = 'Box';

  apply(w: tf.Tensor): tf.Tensor {
    return tf.clipByValue(w, -0.1, 0.2);
  }
}

tf.serialization.registerClass(Box as never);

/** The result of each constraint for a matrix [rows, columns], in float64. */
const kinds: [string, () => Constraint, (w: Float64Array, columns: number) => Float64Array][] = [
  ['nonNeg', () => tfl.constraints.nonNeg(), (w) => w.map((x) => Math.max(0, x))],
  ['unitNorm', () => tfl.constraints.unitNorm({ axis: 0 }), scaled((norm) => 1 / (norm + 1e-7))],
  [
    'maxNorm',
    () => tfl.constraints.maxNorm({ maxValue: 0.7, axis: 0 }),
    scaled((norm) => Math.min(norm, 0.7) / (norm + 1e-7)),
  ],
  [
    'minMaxNorm',
    () => tfl.constraints.minMaxNorm({ minValue: 0.8, maxValue: 1.1, rate: 0.5, axis: 0 }),
    scaled((norm) => (0.5 * Math.min(Math.max(norm, 0.8), 1.1) + 0.5 * norm) / (norm + 1e-7)),
  ],
  ['one from elsewhere', () => new Box(), (w) => w.map((x) => Math.min(Math.max(x, -0.1), 0.2))],
];

/** Multiplies each column by a factor of its norm. */
function scaled(factor: (norm: number) => number) {
  return (w: Float64Array, columns: number) => {
    const norms = Array.from({ length: columns }, (_, k) =>
      Math.sqrt(w.reduce((sum, x, i) => (i % columns === k ? sum + x * x : sum), 0)),
    );
    return w.map((x, i) => x * factor(norms[i % columns] as number));
  };
}

const updaters: [string, () => Updater][] = [
  ['the gradient', () => chain(gradientDescent(), scaleBy(0.3))],
  ['GHL', () => chain(threeFactor(maxAbs(swta()), sign()), decayWeights(0.1), scaleBy(0.3))],
  ['Oja', () => chain(local(maxAbs(oja())), scaleBy(0.3))],
  ['HPCA', () => chain(local(hpca()), scaleBy(0.1))],
  ...tfOptimizers
    .filter(([name]) => name !== 'rmsprop, centered')
    .map(([name, make]): [string, () => Updater] => [`tf.train.${name}`, () => ownTf(make())]),
];

describe.each(kinds)('%s', (_, constraint, expected) => {
  it.each(updaters)('applies the constraint after each step of %s', async (_name, make) => {
    const net = (kernelConstraint?: Constraint) => () =>
      own(
        tfl.sequential({
          layers: [
            tfl.layers.dense({
              name: 'first',
              units: 3,
              inputShape: [4],
              activation: 'tanh',
              ...(kernelConstraint && { kernelConstraint }),
            }),
            tfl.layers.dense({ name: 'out', units: 2 }),
          ],
        }),
      );
    const [model, plain] = [net(constraint())(), net()()];
    const [updater, same] = [make(), make()];
    const optimizer = own(plasticOptimizer(model, { 'first/kernel': updater, '*': rest }));
    const free = own(plasticOptimizer(plain, { 'first/kernel': same, '*': rest }));
    for (let step = 0; step < 2; step++) {
      const x = random([6, 4], step);
      plain.setWeights(model.getWeights());
      optimizer.minimize(lossOf(model, x));
      free.minimize(lossOf(plain, x));
      await optimizer.checkFinite();
      const target = expected(Float64Array.from(variableOf(plain, 'first').dataSync()), 3);
      expect(variableOf(model, 'first').dataSync()).toBeAllClose(target, { rtol: 1e-5, atol: 1e-6 });
      expect(values(model).slice(1)).toEqual(values(plain).slice(1));
    }
  });
});

describe('every layer with a constraint option', () => {
  const constraint = () => new Box();
  const recurrent = {
    recurrentInitializer: 'glorotNormal',
    kernelConstraint: constraint(),
    recurrentConstraint: constraint(),
    biasConstraint: constraint(),
  };
  const image = [6, 6, 2];
  const cases: [string, () => tfl.layers.Layer, number[]][] = [
    ['dense', () => tfl.layers.dense({ units: 2, kernelConstraint: constraint(), biasConstraint: constraint() }), [4]],
    [
      'conv1d',
      () =>
        tfl.layers.conv1d({ filters: 2, kernelSize: 2, kernelConstraint: constraint(), biasConstraint: constraint() }),
      [5, 3],
    ],
    [
      'conv2d',
      () =>
        tfl.layers.conv2d({ filters: 2, kernelSize: 2, kernelConstraint: constraint(), biasConstraint: constraint() }),
      image,
    ],
    [
      'conv2d, dilated',
      () => tfl.layers.conv2d({ filters: 2, kernelSize: 2, dilationRate: 2, kernelConstraint: constraint() }),
      image,
    ],
    [
      'conv3d',
      () =>
        tfl.layers.conv3d({ filters: 2, kernelSize: 2, kernelConstraint: constraint(), biasConstraint: constraint() }),
      [3, 3, 3, 2],
    ],
    [
      'conv2dTranspose',
      () => tfl.layers.conv2dTranspose({ filters: 2, kernelSize: 2, kernelConstraint: constraint() }),
      image,
    ],
    [
      'depthwiseConv2d',
      () =>
        tfl.layers.depthwiseConv2d({
          kernelSize: 2,
          depthwiseConstraint: constraint(),
          biasConstraint: constraint(),
        } as never),
      image,
    ],
    [
      'separableConv2d',
      () =>
        tfl.layers.separableConv2d({
          filters: 2,
          kernelSize: 2,
          depthwiseConstraint: constraint(),
          pointwiseConstraint: constraint(),
        }),
      image,
    ],
    [
      'batchNormalization',
      () => tfl.layers.batchNormalization({ gammaConstraint: constraint(), betaConstraint: constraint() }),
      [4],
    ],
    ['embedding', () => tfl.layers.embedding({ inputDim: 5, outputDim: 2, embeddingsConstraint: constraint() }), [3]],
    ['prelu', () => tfl.layers.prelu({ alphaInitializer: 'ones', alphaConstraint: constraint() }), [4]],
    ['simpleRNN', () => tfl.layers.simpleRNN({ units: 2, ...recurrent } as never), [3, 2]],
    ['gru', () => tfl.layers.gru({ units: 2, ...recurrent } as never), [3, 2]],
    ['lstm', () => tfl.layers.lstm({ units: 2, ...recurrent } as never), [3, 2]],
    [
      'timeDistributed',
      () => tfl.layers.timeDistributed({ layer: tfl.layers.dense({ units: 2, kernelConstraint: constraint() }) }),
      [3, 2],
    ],
    [
      'bidirectional',
      () =>
        tfl.layers.bidirectional({
          layer: tfl.layers.simpleRNN({ units: 2, ...recurrent } as never) as never,
          mergeMode: 'concat',
        }),
      [3, 2],
    ],
  ];
  it.each(cases)('applies the constraint of %s', async (kind, make, shape) => {
    for (const updater of [rest, ownTf(tf.train.momentum(0.3, 0.5))]) {
      const model = own(
        tfl.sequential({ layers: [tfl.layers.inputLayer({ inputShape: shape }), make()] as tfl.layers.Layer[] }),
      );
      const bound = model.trainableWeights.filter((weight) => (weight as tfl.LayerVariable).constraint != null);
      expect(bound.length).toBeGreaterThan(0);
      const optimizer = own(plasticOptimizer(model, { '*': updater }));
      // Whole numbers for the embedding; negative and positive numbers for the others.
      const least = kind === 'embedding' ? 0 : -2;
      const x = own(tf.tidy(() => tf.floor(tf.randomUniform([4, ...shape], least, 3, 'float32', 1))));
      const before = bound.map((weight) => String(weight.read().dataSync()));
      for (let step = 0; step < 2; step++) optimizer.minimize(lossOf(model, x));
      await optimizer.checkFinite();
      for (const [i, weight] of bound.entries()) {
        const now = weight.read().dataSync();
        expect(String(now)).not.toBe(before[i]);
        expect(Math.min(...now)).toBeGreaterThanOrEqual(Math.fround(-0.1));
        expect(Math.max(...now)).toBeLessThanOrEqual(Math.fround(0.2));
      }
    }
  });
});

describe('a constraint', () => {
  const net = (kernelConstraint: Constraint) => () =>
    own(
      tfl.sequential({
        layers: [
          tfl.layers.dense({ name: 'first', units: 3, inputShape: [4], kernelConstraint }),
          tfl.layers.dense({ name: 'out', units: 2 }),
        ],
      }),
    );
  const x = () => random([6, 4], 1);

  it('does not apply the constraint of a weight that does not move', () => {
    const model = net(tfl.constraints.nonNeg())();
    const before = values(model.getLayer('first'));
    expect(Math.min(...(before[0] as number[]))).toBeLessThan(0);
    const ways: [Assignment, object][] = [
      [{ first: null, '*': rest }, {}],
      [{ '*': rest }, { varList: [variableOf(model, 'out')] }],
    ];
    for (const [assignment, options] of ways) {
      own(plasticOptimizer(model, assignment)).minimize(lossOf(model, x()), options);
      expect(values(model.getLayer('first'))).toEqual(before);
    }
    // The same holds if the loss does not depend on the weight.
    own(plasticOptimizer(model, { '*': rest })).minimize(
      () => tf.tidy(() => tf.mean(model.getLayer('out').apply(own(tf.ones([1, 3]))) as tf.Tensor)) as tf.Scalar,
    );
    expect(values(model.getLayer('first'))).toEqual(before);
  });

  it('applies constraints in applyGradients(), given by name or as an object, and in fit()', async () => {
    const model = net('nonNeg' as never)();
    const optimizer = own(plasticOptimizer(model, { '*': rest }));
    const variable = variableOf(model, 'first');
    optimizer.applyGradients([{ name: variable.name, tensor: own(tf.ones([4, 3])) }]);
    expect(Math.min(...variable.dataSync())).toBe(0);
    model.setWeights(model.getWeights().map((weight) => own(tf.randomNormal(weight.shape))));
    model.compile({ optimizer, loss: 'meanSquaredError' });
    await model.fit(x(), random([6, 2], 2), { verbose: 0 });
    expect(Math.min(...variable.dataSync())).toBe(0);
  });

  it('rejects a step whose constraint returns a value that is not finite', async () => {
    class Spoilt extends Base {
      apply = (w: tf.Tensor) => tf.div(w, 0);
    }
    for (const updater of [rest, ownTf(tf.train.adam(0.1))]) {
      const model = net(new Spoilt())();
      const before = values(model);
      const optimizer = own(plasticOptimizer(model, { '*': updater }));
      optimizer.minimize(lossOf(model, x()));
      expect(values(model)).toEqual(before);
      await expect(optimizer.checkFinite()).rejects.toMatchObject({ message: expect.stringContaining('first/kernel') });
    }
  });

  it('rejects an update that is not finite even if its constraint returns finite values', async () => {
    for (const updater of [chain(gradientDescent(), scaleBy(1e39)), ownTf(tf.train.sgd(1e39))]) {
      const model = net(tfl.constraints.nonNeg())();
      const before = values(model);
      const optimizer = own(plasticOptimizer(model, { 'first/kernel': updater, '*': null }));
      optimizer.minimize(lossOf(model, x()));
      expect(values(model)).toEqual(before);
      await expect(optimizer.checkFinite()).rejects.toMatchObject({ code: 'NON_FINITE_STEP' });
    }
  });

  it('accepts a constraint that returns its argument or a tensor that it owns', () => {
    const fixed = own(tf.ones([4, 3]));
    for (const [apply, updater] of [
      [(w: tf.Tensor) => w, rest],
      [(w: tf.Tensor) => w, ownTf(tf.train.sgd(0.3))],
      [() => fixed, rest],
      [() => fixed, ownTf(tf.train.sgd(0.3))],
    ] as const) {
      const model = net(Object.assign(new Box(), { apply }) as Constraint)();
      const before = values(model);
      const optimizer = own(plasticOptimizer(model, { '*': updater }));
      for (let step = 0; step < 2; step++) optimizer.minimize(lossOf(model, x()));
      expect(fixed.dataSync()).toEqual(new Float32Array(12).fill(1));
      expect(values(model)[0]).not.toEqual(before[0]);
    }
  });

  it.each([
    ['another shape', (w: tf.Tensor) => tf.sum(w, 0)],
    ['another type', (w: tf.Tensor) => tf.cast(w, 'int32')],
    ['nothing', () => undefined],
  ])('rejects a constraint that returns %s, and moves nothing', (_, apply) => {
    for (const updater of [rest, ownTf(tf.train.sgd(0.3))]) {
      const model = net(Object.assign(new Box(), { apply }) as unknown as Constraint)();
      const before = values(model);
      const optimizer = own(plasticOptimizer(model, { '*': updater }));
      expect(() => optimizer.minimize(lossOf(model, x()))).toThrow(expect.objectContaining({ code: 'WRONG_SHAPE' }));
      expect(values(model)).toEqual(before);
    }
  });
});
