import '@tensorflow/tfjs-backend-cpu';
import {
  chain,
  cosine,
  decayWeights,
  gradientDescent,
  local,
  maxAbs,
  type Plasticity,
  scaleBy,
  threeFactor,
} from '@ghl/core';
import { type Connection, conv1d, conv2d, dense, depthwiseConv2d, initState, layerIncrement } from '@ghl/core/engine';
import { sign } from '@ghl/modulator-sign';
import { bcm } from '@ghl/rule-bcm';
import { hpca } from '@ghl/rule-hpca';
import { oja } from '@ghl/rule-oja';
import { swta } from '@ghl/rule-swta';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { beforeAll, describe, expect, it } from 'vitest';
import { plasticOptimizer } from './index.js';
import { forward, lossOf, own, random, twins, values, variableOf } from './model.fixture.js';

beforeAll(async () => {
  await tf.setBackend('cpu');
});

const kernelOf = (model: tfl.LayersModel, layer: string) => model.getLayer(layer).getWeights()[0] as tf.Tensor;
const descend = (rate: number) => chain(gradientDescent(), scaleBy(rate));
const meanSquare = (output: tf.Tensor) => tf.mean(tf.square(output)) as tf.Scalar;

interface Geometry {
  readonly title: string;
  readonly input: number[];
  readonly make: (plain: { useBias: boolean; activation?: 'tanh' }) => tfl.layers.Layer;
  readonly connection: Connection;
}

const geometries: Geometry[] = [
  {
    title: 'dense',
    input: [5],
    make: (plain) => tfl.layers.dense({ name: 'plastic', units: 4, ...plain }),
    connection: dense([5, 4]),
  },
  {
    title: 'dense over time',
    input: [3, 5],
    make: (plain) => tfl.layers.dense({ name: 'plastic', units: 4, ...plain }),
    connection: dense([5, 4]),
  },
  ...(['same', 'valid'] as const).map((padding) => ({
    title: `conv1d, ${padding}`,
    input: [7, 2],
    make: (plain: object) => tfl.layers.conv1d({ name: 'plastic', filters: 3, kernelSize: 3, padding, ...plain }),
    connection: conv1d([3, 2, 3], { padding }),
  })),
  {
    title: 'conv1d, strided',
    input: [8, 2],
    make: (plain) => tfl.layers.conv1d({ name: 'plastic', filters: 3, kernelSize: 3, strides: 2, ...plain }),
    connection: conv1d([3, 2, 3], { strides: 2 }),
  },
  ...(['same', 'valid'] as const).flatMap((padding) =>
    [1, 2].map((strides) => ({
      title: `conv2d, ${padding}, stride ${strides}`,
      input: [6, 5, 2],
      make: (plain: object) =>
        tfl.layers.conv2d({ name: 'plastic', filters: 3, kernelSize: [3, 2], strides, padding, ...plain }),
      connection: conv2d([3, 2, 2, 3], { padding, strides }),
    })),
  ),
  ...(['same', 'valid'] as const).map((padding) => ({
    title: `depthwise conv2d, ${padding}`,
    input: [5, 5, 2],
    make: (plain: object) =>
      tfl.layers.depthwiseConv2d({ name: 'plastic', depthMultiplier: 2, kernelSize: 3, padding, ...plain }),
    connection: depthwiseConv2d([3, 3, 2, 2], { padding }),
  })),
];

/** Input → activation → the layer → head. */
function around({ input, make }: Geometry, plain: Parameters<Geometry['make']>[0]): tfl.LayersModel {
  return own(
    tfl.sequential({
      layers: [
        tfl.layers.activation({ activation: 'tanh', inputShape: input }),
        make(plain),
        ...(input.length > 1 ? [tfl.layers.flatten()] : []),
        tfl.layers.dense({ name: 'head', units: 2 }),
      ],
    }),
  );
}

describe.each(geometries)('a plastic layer, $title', (geometry) => {
  const rules: [string, () => Plasticity][] = [
    ['swta × sign', () => threeFactor(maxAbs(swta({ temperature: 0.5 })), sign())],
    ['hpca', () => local(hpca())],
    ['bcm', () => local(maxAbs(bcm()))],
  ];

  it.each(rules)('moves by layerIncrement, with x and y before bias and activation: %s', (_, head) => {
    const model = around(geometry, { useBias: true, activation: 'tanh' });
    const layer = model.getLayer('plastic');
    const [kernelBefore, bias] = layer.getWeights() as [tf.Tensor, tf.Tensor];
    layer.setWeights([kernelBefore, random(bias.shape, 9)]);
    const product = chain(head(), decayWeights(1e-2), scaleBy(cosine(0.1, 9)));
    const optimizer = own(plasticOptimizer(model, { plastic: product, '*': null }));
    // The bare layer, with the same kernel, and without bias and activation.
    const bare = around(geometry, { useBias: false }).getLayer('plastic');
    tf.tidy(() => {
      let state = initState(product, kernelBefore.shape, geometry.connection.units);
      [1, 2, 3].forEach((seed, step) => {
        const x = random([3, ...geometry.input], seed);
        const kernel = tf.clone(kernelOf(model, 'plastic'));
        bare.setWeights([kernel]);
        const pre = tf.tanh(x);
        const post = bare.apply(pre) as tf.Tensor;
        const { grads } = tf.variableGrads(lossOf(model, x), [variableOf(model, 'plastic')]);
        const result = layerIncrement(
          product,
          {
            connection: geometry.connection,
            kernel,
            calls: [{ pre, post }],
            signals: { gradient: Object.values(grads)[0] as tf.Tensor },
            step,
          },
          state,
        );
        state = result.state;
        optimizer.minimize(lossOf(model, x));
        expect(tf.sub(kernelOf(model, 'plastic'), kernel)).toBeAllClose(result.increment, { rtol: 1e-4, atol: 1e-6 });
      });
    });
  });

  it('predicts the same values while its call is overridden', () => {
    const model = around(geometry, { useBias: true, activation: 'tanh' });
    const optimizer = own(plasticOptimizer(model, { plastic: local(maxAbs(oja())), '*': descend(0) }));
    const x = random([3, ...geometry.input], 1);
    const expected = own(model.predict(x) as tf.Tensor);
    let inStep: number[] = [];
    optimizer.minimize(() => {
      const output = forward(model, x);
      inStep = Array.from(output.dataSync());
      return meanSquare(output);
    });
    expect(inStep).toBeAllClose(expected.dataSync(), { rtol: 1e-6, atol: 1e-6 });
  });
});

function convNet(): tfl.LayersModel {
  return own(
    tfl.sequential({
      layers: [
        tfl.layers.conv2d({ name: 'conv', filters: 3, kernelSize: 3, activation: 'relu', inputShape: [5, 5, 2] }),
        tfl.layers.depthwiseConv2d({ name: 'depthwise', kernelSize: 2, activation: 'tanh' }),
        tfl.layers.flatten(),
        tfl.layers.dense({ name: 'hidden', units: 4, activation: 'tanh' }),
        tfl.layers.dense({ name: 'head', units: 2 }),
      ],
    }),
  );
}

describe('the optimizers of tfjs', () => {
  it('gradientDescent() on all weights equals tf.train.sgd', () => {
    const [ours, theirs] = twins(convNet);
    const optimizer = own(plasticOptimizer(ours, { '*': descend(0.05) }));
    const sgd = own(tf.train.sgd(0.05));
    for (const seed of [1, 2, 3, 4]) {
      const x = random([4, 5, 5, 2], seed);
      const cost = own(optimizer.minimize(lossOf(ours, x), true) as tf.Scalar);
      const variables = theirs.trainableWeights.map((weight) => weight.read() as tf.Variable);
      expect(cost).toBeAllClose(own(sgd.minimize(lossOf(theirs, x), true, variables) as tf.Scalar), { rtol: 1e-6 });
    }
    values(ours).forEach((each, i) => {
      expect(each).toBeAllClose(values(theirs)[i] as number[], { rtol: 1e-6, atol: 1e-6 });
    });
  });

  it('gradientDescent() next to a rule equals tf.train.sgd', () => {
    const [ours, theirs] = twins(convNet);
    const rule = chain(threeFactor(maxAbs(swta()), sign()), scaleBy(0));
    const optimizer = own(plasticOptimizer(ours, { conv: rule, depthwise: rule, '*': descend(0.05) }));
    const sgd = own(tf.train.sgd(0.05));
    const still = ['conv', 'depthwise'].map((layer) => variableOf(theirs, layer));
    const variables = theirs.trainableWeights
      .map((weight) => weight.read() as tf.Variable)
      .filter((variable) => !still.includes(variable));
    for (const seed of [1, 2, 3]) {
      const x = random([4, 5, 5, 2], seed);
      optimizer.minimize(lossOf(ours, x));
      sgd.minimize(lossOf(theirs, x), false, variables);
    }
    values(ours).forEach((each, i) => {
      expect(each).toBeAllClose(values(theirs)[i] as number[], { rtol: 1e-5, atol: 1e-6 });
    });
  });

  it('a tfjs optimizer in an assignment moves its weights as it does alone', () => {
    const [ours, theirs] = twins(convNet);
    const [updater, adam] = [own(tf.train.adam(0.01)), own(tf.train.adam(0.01))];
    const optimizer = own(plasticOptimizer(ours, { conv: null, depthwise: null, hidden: updater, head: updater }));
    const moved = ['hidden', 'head'].flatMap((layer) => [variableOf(theirs, layer, 0), variableOf(theirs, layer, 1)]);
    for (const seed of [1, 2, 3]) {
      const x = random([4, 5, 5, 2], seed);
      optimizer.minimize(lossOf(ours, x));
      adam.minimize(lossOf(theirs, x), false, moved);
    }
    values(ours).forEach((each, i) => {
      expect(each).toBeAllClose(values(theirs)[i] as number[], { rtol: 1e-6, atol: 1e-6 });
    });
  });

  it('a tfjs optimizer keeps the moments of each weight while varList changes', () => {
    const [ours, theirs] = twins(convNet);
    const [updater, adams] = [own(tf.train.adam(0.01)), [own(tf.train.adam(0.01)), own(tf.train.adam(0.01))] as const];
    const optimizer = own(plasticOptimizer(ours, { conv: null, depthwise: null, hidden: null, head: updater }));
    const x = random([4, 5, 5, 2], 1);
    optimizer.minimize(lossOf(ours, x), { varList: [variableOf(ours, 'head', 1)] });
    optimizer.minimize(lossOf(ours, x));
    // The bias got two gradients, the kernel one.
    adams[0].minimize(lossOf(theirs, x), false, [variableOf(theirs, 'head', 1)]);
    const biasStep = Array.from(variableOf(theirs, 'head', 1).dataSync());
    expect(variableOf(ours, 'head', 0).shape).toEqual([4, 2]);
    const before = Array.from(variableOf(theirs, 'head', 0).dataSync());
    adams[0].minimize(lossOf(theirs, x), false, [variableOf(theirs, 'head', 1)]);
    expect(variableOf(ours, 'head', 1)).toBeAllClose(variableOf(theirs, 'head', 1), { rtol: 1e-5, atol: 1e-6 });
    expect(variableOf(theirs, 'head', 1).dataSync()).not.toEqual(biasStep);
    expect(Array.from(variableOf(ours, 'head', 0).dataSync())).not.toEqual(before);
  });
});

describe('dilated convolutions', () => {
  it.each([
    [
      'conv2d',
      () => tfl.layers.conv2d({ name: 'dilated', filters: 2, kernelSize: 2, dilationRate: [2, 1] }),
      [4, 4, 2],
    ],
    [
      'conv2d, same',
      () => tfl.layers.conv2d({ name: 'dilated', filters: 2, kernelSize: 3, dilationRate: 2, padding: 'same' }),
      [4, 4, 1],
    ],
    [
      'conv1d, same',
      () => tfl.layers.conv1d({ name: 'dilated', filters: 2, kernelSize: 2, dilationRate: 3, padding: 'same' }),
      [6, 2],
    ],
  ] as [string, () => tfl.layers.Layer, number[]][])(
    'have the gradient of numerical differences: %s',
    (_, make, input) => {
      const model = own(
        tfl.sequential({
          layers: [
            tfl.layers.dense({ name: 'below', units: input.at(-1) as number, inputShape: input }),
            make(),
            tfl.layers.flatten(),
            tfl.layers.dense({ name: 'head', units: 1, useBias: false }),
          ],
        }),
      );
      const x = random([2, ...input], 3);
      const difference = (layer: string, i: number, weight: number) => {
        const variable = variableOf(model, layer, weight);
        const at = Array.from(variable.dataSync());
        const lossAt = (offset: number) =>
          tf.tidy(() => {
            variable.assign(
              tf.tensor(
                at.map((each, j) => (i === j ? each + offset : each)),
                variable.shape,
              ),
            );
            return lossOf(model, x)().dataSync()[0] as number;
          });
        const slope = (lossAt(1e-2) - lossAt(-1e-2)) / 2e-2;
        tf.tidy(() => variable.assign(tf.tensor(at, variable.shape)));
        return slope;
      };
      const moved = [
        ['below', 0],
        ['dilated', 0],
        ['dilated', 1],
      ] as const;
      const expected = moved.map(([layer, weight]) =>
        Array.from(variableOf(model, layer, weight).dataSync(), (_, i) => difference(layer, i, weight)),
      );
      const before = moved.map(([layer, weight]) => Array.from(variableOf(model, layer, weight).dataSync()));
      const optimizer = own(plasticOptimizer(model, { '*': gradientDescent() }));
      optimizer.minimize(lossOf(model, x));
      moved.forEach(([layer, weight], k) => {
        const gradient = Array.from(
          variableOf(model, layer, weight).dataSync(),
          (after, i) => (before[k]?.[i] as number) - after,
        );
        expect(gradient).toBeAllClose(expected[k] as number[], { rtol: 2e-3, atol: 2e-3 });
      });
    },
  );

  it('propagate the gradient while frozen', () => {
    const model = own(
      tfl.sequential({
        layers: [
          tfl.layers.dense({ name: 'below', units: 2, inputShape: [5, 5, 1] }),
          tfl.layers.conv2d({ name: 'dilated', filters: 2, kernelSize: 2, dilationRate: 2 }),
        ],
      }),
    );
    const optimizer = own(plasticOptimizer(model, { dilated: null, below: descend(0.1) }));
    const [below, dilated] = [
      kernelOf(model, 'below').dataSync().slice(),
      kernelOf(model, 'dilated').dataSync().slice(),
    ];
    optimizer.minimize(lossOf(model, random([2, 5, 5, 1], 1)));
    expect(kernelOf(model, 'below').dataSync()).not.toEqual(below);
    expect(kernelOf(model, 'dilated').dataSync()).toEqual(dilated);
  });
});
