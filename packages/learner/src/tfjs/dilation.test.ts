import '@tensorflow/tfjs-backend-cpu';
import { chain, gradientDescent, local, maxAbs, scaleBy } from '@ghl/core';
import { oja } from '@ghl/rule-oja';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { beforeAll, describe, expect, it } from 'vitest';
import { type Assignment, plasticOptimizer } from '../index.js';
import { lossOf, own, random, values, variableOf } from '../model.fixture.js';

beforeAll(async () => {
  await tf.setBackend('cpu');
});

type Make = (name: string) => tfl.layers.Layer;
const padding = 'same' as const;

/** Dilated layers, each on an input [depth or time,] height, width, channels. */
const layers: Record<string, { readonly input: number[]; readonly make: Make }> = {
  conv1d: { input: [6, 2], make: (name) => tfl.layers.conv1d({ name, filters: 2, kernelSize: 2, dilationRate: 3 }) },
  conv2d: {
    input: [5, 6, 2],
    make: (name) => tfl.layers.conv2d({ name, filters: 2, kernelSize: [2, 3], dilationRate: [3, 2], padding }),
  },
  'conv2d, tanh': {
    input: [5, 6, 2],
    make: (name) => tfl.layers.conv2d({ name, filters: 2, kernelSize: 2, dilationRate: 2, activation: 'tanh' }),
  },
  separableConv2d: {
    input: [5, 6, 2],
    make: (name) =>
      tfl.layers.separableConv2d({ name, filters: 3, kernelSize: 2, dilationRate: 2, depthMultiplier: 2 }),
  },
  'separableConv2d, same': {
    input: [5, 6, 2],
    make: (name) => tfl.layers.separableConv2d({ name, filters: 2, kernelSize: 3, dilationRate: [1, 2], padding }),
  },
  conv3d: {
    input: [4, 3, 4, 2],
    make: (name) => tfl.layers.conv3d({ name, filters: 2, kernelSize: 2, dilationRate: 2 }),
  },
  'conv3d, same': {
    input: [4, 3, 4, 1],
    make: (name) =>
      tfl.layers.conv3d({
        name,
        filters: 2,
        kernelSize: [2, 3, 2],
        dilationRate: [1, 2, 3],
        padding,
        activation: 'tanh',
      }),
  },
  convLstm2d: {
    input: [2, 4, 4, 1],
    make: (name) =>
      tfl.layers.convLstm2d({
        name,
        filters: 2,
        kernelSize: 2,
        dilationRate: 2,
        recurrentInitializer: 'glorotUniform',
      }),
  },
  'conv2d within a wrapper': {
    input: [2, 5, 5, 1],
    make: (name) =>
      tfl.layers.timeDistributed({
        name,
        layer: tfl.layers.conv2d({ filters: 2, kernelSize: 2, dilationRate: 2 }),
      }),
  },
  'separableConv2d within a wrapper': {
    input: [2, 5, 5, 1],
    make: (name) =>
      tfl.layers.timeDistributed({
        name,
        layer: tfl.layers.separableConv2d({ filters: 2, kernelSize: 2, dilationRate: 2 }),
      }),
  },
  'an op of a custom forward pass': {
    input: [5, 5, 1],
    make: (name) => {
      const layer = tfl.layers.conv2d({ name, filters: 2, kernelSize: 2 });
      layer.call = (x) => {
        const kernel = layer.weights[0]?.read() as tf.Tensor4D;
        const bias = layer.weights[1]?.read() as tf.Tensor;
        return tf.tidy(() =>
          tf.add(tf.conv2d((Array.isArray(x) ? x[0] : x) as tf.Tensor4D, kernel, 1, 'valid', 'NHWC', [2, 2]), bias),
        );
      };
      layer.computeOutputShape = ([batch]) => [batch as unknown as number, 3, 3, 2];
      return layer;
    },
  },
};

const around = ({ input, make }: { readonly input: number[]; readonly make: Make }) =>
  own(
    tfl.sequential({
      layers: [
        tfl.layers.dense({ name: 'below', units: input.at(-1) as number, inputShape: input }),
        make('dilated'),
        tfl.layers.flatten(),
        tfl.layers.dense({ name: 'head', units: 1, useBias: false }),
      ],
    }),
  );

/** ∂loss/∂weight by central differences of the forward pass. */
function slopes(model: tfl.LayersModel, x: tf.Tensor, variable: tf.Variable): number[] {
  const at = Array.from(variable.dataSync());
  const assign = (to: number[]) => tf.tidy(() => variable.assign(tf.tensor(to, variable.shape)));
  const lossAt = (i: number, offset: number) => {
    assign(at.map((each, j) => (i === j ? each + offset : each)));
    return tf.tidy(() => lossOf(model, x)().dataSync()[0] as number);
  };
  const actual = at.map((_, i) => (lossAt(i, 1e-2) - lossAt(i, -1e-2)) / 2e-2);
  assign(at);
  return actual;
}

describe.each(Object.keys(layers))('a dilated layer: %s', (kind) => {
  const geometry = layers[kind]!;

  it('and the layers below have the gradient of numerical differences', () => {
    const model = around(geometry);
    const x = random([2, ...geometry.input], 3);
    const variables = model.trainableWeights.map((weight) => weight.read() as tf.Variable);
    const expected = variables.map((variable) => slopes(model, x, variable));
    const before = values(model);
    const optimizer = own(plasticOptimizer(model, { '*': gradientDescent() }));
    optimizer.minimize(lossOf(model, x));
    variables.forEach((_, k) => {
      const actual = values(model)[k]!.map((after, i) => (before[k]?.[i] as number) - after);
      expect(actual).toBeAllClose(expected[k] as number[], { rtol: 5e-3, atol: 5e-3 });
    });
  });

  it('propagates the gradient while frozen', () => {
    const model = around(geometry);
    const x = random([2, ...geometry.input], 4);
    const below = variableOf(model, 'below');
    const expected = slopes(model, x, below);
    const before = Array.from(below.dataSync());
    const optimizer = own(plasticOptimizer(model, { below: gradientDescent(), '*': null }));
    optimizer.minimize(lossOf(model, x));
    const actual = Array.from(below.dataSync(), (after, i) => (before[i] as number) - after);
    expect(actual).toBeAllClose(expected, { rtol: 5e-3, atol: 5e-3 });
  });
});

describe('a dilated conv2d without a gradient', () => {
  const refused: Record<string, Make> = {
    channelsFirst: (name) =>
      tfl.layers.conv2d({ name, filters: 2, kernelSize: 2, dilationRate: 2, dataFormat: 'channelsFirst' }),
    'a custom call()': (name) => {
      const layer = tfl.layers.conv2d({ name, filters: 2, kernelSize: 2, dilationRate: 2 });
      const stock = layer.call.bind(layer);
      layer.call = (x, kwargs) => stock(x, kwargs);
      return layer;
    },
  };
  it.each(Object.keys(refused))('is refused by plasticOptimizer(): %s', (what) => {
    const model = around({ input: [6, 6, 6], make: refused[what] as Make });
    const rule = chain(local(maxAbs(oja())), scaleBy(0.1));
    for (const assignment of [{ '*': gradientDescent() }, { dilated: rule, '*': gradientDescent() }] as Assignment[]) {
      expect(() => plasticOptimizer(model, assignment)).toThrow(
        expect.objectContaining({ code: 'UNSUPPORTED_LAYER', message: expect.stringContaining(what) }),
      );
    }
  });

  it('is refused at the step if a layer hides it, and another model can then take a step', () => {
    class Block extends tfl.layers.Layer {
      static className = 'Block';
      readonly inner = tfl.layers.conv2d({ filters: 2, kernelSize: 2, dilationRate: 2 });
      override build(shape: tfl.Shape) {
        this.inner.build(shape);
        this.built = true;
      }
      override call(x: tf.Tensor | tf.Tensor[]) {
        return this.inner.apply(x) as tf.Tensor;
      }
      override computeOutputShape(shape: tfl.Shape) {
        return this.inner.computeOutputShape(shape);
      }
      override get trainableWeights() {
        return this.inner?.trainableWeights ?? [];
      }
    }
    const model = around({ input: [5, 5, 2], make: (name) => new Block({ name }) });
    const optimizer = own(plasticOptimizer(model, { '*': gradientDescent() }));
    const before = values(model);
    const f = lossOf(model, random([2, 5, 5, 2], 1));
    const { numTensors } = tf.memory();
    expect(() => optimizer.minimize(f)).toThrow(
      expect.objectContaining({ code: 'UNSUPPORTED_LAYER', message: expect.stringContaining('dilation') }),
    );
    expect(tf.memory().numTensors).toBe(numTensors);
    expect(values(model)).toEqual(before);
    expect(optimizer.step).toBe(0);
    const other = around(layers.conv2d!);
    own(plasticOptimizer(other, { '*': gradientDescent() })).minimize(lossOf(other, random([2, 5, 6, 2], 1)));
  });
});
