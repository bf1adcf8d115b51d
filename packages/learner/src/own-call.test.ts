import '@tensorflow/tfjs-backend-cpu';
import { chain, gradientDescent, local, maxAbs, scaleBy, type Transform } from '@ghl/core';
import { specOf } from '@ghl/core/plugin';
import { oja } from '@ghl/rule-oja';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { plasticOptimizer } from './index.js';
import { lossOf, own, random, twins, values } from './model.fixture.js';

beforeAll(async () => {
  await tf.setBackend('cpu');
});

type Call = tfl.layers.Layer['call'];
type Make = (name: string) => tfl.layers.Layer;

const descend = () => chain(gradientDescent(), scaleBy(0.1));
const counting: Transform = {
  spec: specOf('counting'),
  init: () => ({ count: tf.scalar(0) }),
  update: (increment, _, state) => ({ increment, state }),
};
const stateOf = (path: string) => `${path}/transforms/0/count`;
const rule = () => chain(local(maxAbs(oja())), scaleBy(0.1));

const kinds: Record<string, { readonly input: number[]; readonly make: Make }> = {
  dense: { input: [2, 3], make: (name) => tfl.layers.dense({ name, units: 3, activation: 'tanh' }) },
  conv1d: { input: [4, 2], make: (name) => tfl.layers.conv1d({ name, filters: 2, kernelSize: 2, strides: 2 }) },
  conv2d: {
    input: [4, 4, 2],
    make: (name) => tfl.layers.conv2d({ name, filters: 2, kernelSize: 2, activation: 'relu' }),
  },
  depthwiseConv2d: { input: [4, 4, 2], make: (name) => tfl.layers.depthwiseConv2d({ name, kernelSize: 2 }) },
};

/** The stock class of the layer, and a subclass. */
const classOf = (layer: object) => layer.constructor as new (config: object) => tfl.layers.Layer;
function derived(make: Make, name: string, extend: (Base: ReturnType<typeof classOf>) => ReturnType<typeof classOf>) {
  const stock = make(name);
  return new (extend(classOf(stock)))(stock.getConfig());
}
const triple = (own: Call): Call =>
  function (this: tfl.layers.Layer, x, kwargs) {
    return tf.tidy(() => tf.mul(3, own.call(this, x, kwargs) as tf.Tensor));
  };

/** Ways to give a layer a custom forward pass. */
const ways: Record<string, (make: Make) => Make> = {
  'set on the instance': (make) => (name) => {
    const layer = make(name);
    layer.call = triple(layer.call);
    return layer;
  },
  'bound on the instance': (make) => (name) => {
    const layer = make(name);
    const stock = layer.call.bind(layer);
    layer.call = (x, kwargs) => tf.tidy(() => tf.mul(3, stock(x, kwargs) as tf.Tensor));
    return layer;
  },
  'read-only on the instance': (make) => (name) => {
    const layer = make(name);
    return Object.defineProperty(layer, 'call', { value: triple(layer.call), configurable: true });
  },
  'in a subclass with the same class name': (make) => (name) =>
    derived(
      make,
      name,
      (Base) =>
        class extends Base {
          override call(...args: Parameters<Call>) {
            return triple(super.call).apply(this, args);
          }
        },
    ),
  'in a subclass with another class name': (make) => (name) =>
    derived(
      make,
      name,
      (Base) =>
        class extends Base {
          static className = 'Tripled';
          override call(...args: Parameters<Call>) {
            return triple(super.call).apply(this, args);
          }
        },
    ),
  'as a class field': (make) => (name) =>
    derived(
      make,
      name,
      (Base) =>
        class extends Base {
          override call = triple(Base.prototype.call);
        },
    ),
  'as an accessor': (make) => (name) =>
    derived(make, name, (Base) => {
      const Accessor = class extends Base {};
      Object.defineProperty(Accessor.prototype, 'call', { get: () => triple(Base.prototype.call) });
      return Accessor;
    }),
  'patched into the prototype': (make) => {
    const prototype = Object.getPrototypeOf(make('any'));
    const descriptor = Object.getOwnPropertyDescriptor(prototype, 'call');
    prototype.call = triple(prototype.call);
    onTestFinished(() => {
      if (descriptor === undefined) delete prototype.call;
      else Object.defineProperty(prototype, 'call', descriptor);
    });
    return make;
  },
};

/** dense → the layer → flatten → dense. */
const around = (input: number[], make: Make) =>
  own(
    tfl.sequential({
      layers: [
        tfl.layers.dense({ name: 'below', units: input.at(-1) as number, inputShape: input }),
        make('p'),
        tfl.layers.flatten(),
        tfl.layers.dense({ name: 'head', units: 2 }),
      ],
    }),
  );

/** The loss of one SGD step by tfjs, which moves the trainable weights of the model. */
function stockStep(model: tfl.LayersModel, x: tf.Tensor): number {
  const sgd = own(tf.train.sgd(0.1));
  const variables = model.trainableWeights.map((weight) => weight.read() as tf.Variable);
  return tf.tidy(() => (sgd.minimize(lossOf(model, x), true, variables) as tf.Scalar).dataSync()[0] as number);
}

function step(optimizer: ReturnType<typeof plasticOptimizer>, model: tfl.LayersModel, x: tf.Tensor): number {
  return tf.tidy(
    () => (optimizer.minimize(lossOf(model, x), { returnCost: true }) as tf.Scalar).dataSync()[0] as number,
  );
}

function expectSameSteps(make: () => tfl.LayersModel, input: number[]): void {
  const [model, stock] = twins(make);
  const optimizer = own(plasticOptimizer(model, { '*': descend() }));
  const start = values(model);
  for (const seed of [1, 2]) {
    const x = random([3, ...input], seed);
    expect(step(optimizer, model, x)).toBeCloseTo(stockStep(stock, x), 4);
  }
  values(model).forEach((each, i) => {
    expect(each).toBeAllClose(values(stock)[i] as number[], { rtol: 1e-4, atol: 1e-5 });
  });
  expect(values(model)).not.toEqual(start);
}

const cases = Object.keys(kinds).flatMap((kind) => Object.keys(ways).map((way) => [kind, way] as const));

describe.each(cases)('a custom forward pass: %s, %s', (kind, way) => {
  const { input, make } = kinds[kind]!;

  it('trains by the gradient', () => {
    const make3 = ways[way]!(make);
    expectSameSteps(() => around(input, make3), input);
  });

  it('runs while the layer is frozen', () => {
    const make3 = ways[way]!(make);
    const [model, stock] = twins(() => around(input, make3));
    const optimizer = own(plasticOptimizer(model, { p: null, '*': descend() }));
    const before = values(model.getLayer('p'));
    stock.getLayer('p').trainable = false;
    const x = random([3, ...input], 1);
    expect(step(optimizer, model, x)).toBeCloseTo(stockStep(stock, x), 4);
    for (const name of ['below', 'p', 'head']) {
      const [ours, theirs] = [values(model.getLayer(name)), values(stock.getLayer(name))];
      ours.forEach((each, i) => {
        expect(each).toBeAllClose(theirs[i] as number[], { rtol: 1e-4, atol: 1e-5 });
      });
    }
    expect(values(model.getLayer('p'))).toEqual(before);
  });

  it('is refused under a rule', () => {
    const make3 = ways[way]!(make);
    const model = around(input, make3);
    const { numTensors } = tf.memory();
    expect(() => plasticOptimizer(model, { p: rule(), '*': descend() })).toThrow(
      expect.objectContaining({ code: 'UNSUPPORTED_LAYER', message: expect.stringContaining("'p'") }),
    );
    expect(tf.memory().numTensors).toBe(numTensors);
  });
});

describe('a forward pass that is replaced after plasticOptimizer()', () => {
  it.each(Object.keys(kinds))('rejects steps of the rule until the original is restored: %s', (kind) => {
    const { input, make } = kinds[kind]!;
    const model = around(input, make);
    const optimizer = own(plasticOptimizer(model, { p: rule(), '*': descend() }));
    const layer = model.getLayer('p');
    const x = random([3, ...input], 1);
    const before = values(model);
    layer.call = triple(layer.call);
    let ran = false;
    const f = () => {
      ran = true;
      return lossOf(model, x)();
    };
    expect(() => optimizer.minimize(f)).toThrow(expect.objectContaining({ code: 'UNSUPPORTED_LAYER' }));
    expect([ran, optimizer.step]).toEqual([false, 0]);
    expect(values(model)).toEqual(before);
    delete (layer as { call?: Call }).call;
    optimizer.minimize(f);
    expect(values(layer)[0]).not.toEqual(before[2]);
  });

  it.each(Object.keys(kinds))('trains by the gradient: %s', (kind) => {
    const { input, make } = kinds[kind]!;
    const [model, stock] = twins(() => around(input, make));
    const optimizer = own(plasticOptimizer(model, { '*': descend() }));
    for (const each of [model, stock]) each.getLayer('p').call = triple(each.getLayer('p').call);
    const replaced = model.getLayer('p').call;
    const x = random([3, ...input], 1);
    expect(step(optimizer, model, x)).toBeCloseTo(stockStep(stock, x), 4);
    expect(values(model)[2]).toBeAllClose(values(stock)[2] as number[], { rtol: 1e-4, atol: 1e-5 });
    expect(model.getLayer('p').call).toBe(replaced);
  });
});

describe('a forward pass that cannot be replaced', () => {
  it('trains, and is refused if the layer is frozen', () => {
    const { input, make } = kinds.dense!;
    const locked: Make = (name) => {
      const layer = make(name);
      return Object.defineProperty(layer, 'call', { value: triple(layer.call) });
    };
    expectSameSteps(() => around(input, locked), input);
    const model = around(input, locked);
    const optimizer = own(plasticOptimizer(model, { p: null, '*': descend() }));
    const below = Object.getOwnPropertyDescriptor(model.getLayer('below'), 'call');
    expect(() => optimizer.minimize(lossOf(model, random([3, ...input], 1)))).toThrow(
      expect.objectContaining({ code: 'UNSUPPORTED_LAYER', message: expect.stringContaining("'p'") }),
    );
    expect(Object.getOwnPropertyDescriptor(model.getLayer('below'), 'call')).toEqual(below);
  });
});

describe('a subclass that keeps the forward pass', () => {
  const subclasses: Record<string, (Base: ReturnType<typeof classOf>) => ReturnType<typeof classOf>> = {
    'and changes nothing': (Base) => class extends Base {},
    'under another class name': (Base) =>
      class extends Base {
        static className = 'Mine';
      },
    'with custom build, getWeights, getConfig and computeOutputShape': (Base) =>
      class extends Base {
        override build(shape: tfl.Shape | tfl.Shape[]) {
          super.build(shape);
        }
        override getWeights(trainableOnly?: boolean) {
          return super.getWeights(trainableOnly);
        }
        override getConfig() {
          return { ...super.getConfig(), mine: true };
        }
        override computeOutputShape(shape: tfl.Shape | tfl.Shape[]) {
          return super.computeOutputShape(shape);
        }
      },
  };
  const both = Object.keys(kinds).flatMap((kind) => Object.keys(subclasses).map((title) => [kind, title] as const));

  it.each(both)('learns by a rule as the stock layer does: %s %s', (kind, title) => {
    const { input, make } = kinds[kind]!;
    const [model, stock] = [around(input, (name) => derived(make, name, subclasses[title]!)), around(input, make)];
    stock.setWeights(model.getWeights());
    const optimizers = [model, stock].map((each) => own(plasticOptimizer(each, { p: rule(), '*': descend() })));
    const x = random([3, ...input], 1);
    optimizers.forEach((optimizer, i) => {
      step(optimizer, [model, stock][i] as tfl.LayersModel, x);
    });
    expect(values(model)).toEqual(values(stock));
  });
});

describe('an activation', () => {
  const activations: Record<string, (layer: { activation: object }) => void> = {
    custom: (layer) => {
      layer.activation = { getClassName: () => 'cube', apply: (y: tf.Tensor) => tf.mul(y, tf.square(y)) };
    },
    // tfjs-layers fuses it by name into some layers, and calls it in others.
    'custom, with the name of a fused one': (layer) => {
      layer.activation = { getClassName: () => 'relu', apply: (y: tf.Tensor) => tf.mul(y, tf.square(y)) };
    },
  };
  const both = Object.keys(kinds).flatMap((kind) => Object.keys(activations).map((title) => [kind, title] as const));

  it.each(both)('has the same result as in tfjs: %s, %s', (kind, title) => {
    const { input, make } = kinds[kind]!;
    const odd: Make = (name) => {
      const layer = make(name);
      activations[title]!(layer as never);
      return layer;
    };
    expectSameSteps(() => around(input, odd), input);
    const [model, stock] = twins(() => around(input, odd));
    const optimizer = own(plasticOptimizer(model, { p: rule(), '*': descend() }));
    const x = random([3, ...input], 1);
    expect(step(optimizer, model, x)).toBeCloseTo(stockStep(stock, x), 4);
  });
});

describe('a kernel that a subclass computes', () => {
  it.each(Object.keys(kinds))('trains by the gradient, and is refused under a rule: %s', (kind) => {
    const { input, make } = kinds[kind]!;
    const key = kind === 'depthwiseConv2d' ? 'depthwiseKernel' : 'kernel';
    const masked: Make = (name) =>
      derived(
        make,
        name,
        (Base) =>
          class extends Base {
            override build(shape: tfl.Shape | tfl.Shape[]) {
              super.build(shape);
              const self = this as unknown as Record<string, { read(): tf.Tensor }>;
              const kernel = self[key]!;
              self[key] = { read: () => tf.mul(kernel.read(), tf.scalar(0.5)) };
            }
          },
      );
    expectSameSteps(() => around(input, masked), input);
    const model = around(input, masked);
    expect(() => plasticOptimizer(model, { p: rule(), '*': descend() })).toThrow(
      expect.objectContaining({ code: 'UNSUPPORTED_LAYER' }),
    );
  });
});

describe('a layer of a wrapper', () => {
  it.each(['dense', 'conv1d', 'conv2d'])('runs its custom forward pass: %s', (kind) => {
    const { input, make } = kinds[kind]!;
    const wrapped: Make = (name) => {
      const layer = make('inner');
      layer.call = triple(layer.call);
      return tfl.layers.timeDistributed({ name, layer });
    };
    expectSameSteps(() => around([2, ...input], wrapped), [2, ...input]);
  });
});

/** Two dense layers in properties that tfjs-layers does not search. */
class Pair extends tfl.layers.Layer {
  static className = 'Pair';
  readonly parts = [tfl.layers.dense({ units: 2 }), tfl.layers.dense({ units: 2, activation: 'tanh' })];
  override build(shape: tfl.Shape) {
    for (const part of this.parts) part.build(shape);
    this.built = true;
  }
  override call(x: tf.Tensor | tf.Tensor[]) {
    const input = Array.isArray(x) ? (x[0] as tf.Tensor) : x;
    const [left, right] = this.parts.map((part) => part.apply(input) as tf.Tensor) as [tf.Tensor, tf.Tensor];
    return tf.tidy(() => tf.mul(left, right));
  }
  override computeOutputShape(shape: tfl.Shape) {
    return [...shape.slice(0, -1), 2];
  }
  override dispose() {
    const exposed = this.weights;
    for (const weight of this.parts.flatMap((part) => part.weights)) if (!exposed.includes(weight)) weight.dispose();
    return super.dispose();
  }
}

class Exposing extends Pair {
  override get trainableWeights() {
    return this.trainable ? (this.parts ?? []).flatMap((part) => part.trainableWeights) : [];
  }
}

/** The same as Exposing, if enabled. */
class LateExposing extends Pair {
  exposes = false;
  override get trainableWeights() {
    return this.exposes ? this.parts.flatMap((part) => part.trainableWeights) : [];
  }
}

const withPair = (pair: tfl.layers.Layer) =>
  own(
    tfl.sequential({
      layers: [tfl.layers.dense({ name: 'below', units: 3, inputShape: [3] }), pair, tfl.layers.dense({ units: 1 })],
    }),
  );

describe('weights that a layer exposes', () => {
  const exposing = () => withPair(new Exposing({ name: 'pair' }));

  it.each<[string, () => ReturnType<typeof descend> | tf.Optimizer]>([
    ['the gradient', descend],
    ['a tfjs optimizer', () => own(tf.train.sgd(0.1))],
  ])('train under %s', (_, updater) => {
    const [model, stock] = twins(exposing);
    const optimizer = own(plasticOptimizer(model, { '*': updater() }));
    const x = random([4, 3], 1);
    step(optimizer, model, x);
    stockStep(stock, x);
    values(model).forEach((each, i) => {
      expect(each).toBeAllClose(values(stock)[i] as number[], { rtol: 1e-5, atol: 1e-6 });
    });
  });

  it('train under fit', async () => {
    const model = exposing();
    const before = values(model.getLayer('pair'));
    model.compile({ optimizer: own(plasticOptimizer(model, { '*': descend() })), loss: 'meanSquaredError' });
    await model.fit(random([4, 3], 1), random([4, 1], 2), { epochs: 1, verbose: 0 });
    values(model.getLayer('pair')).forEach((each, i) => {
      expect(each).not.toEqual(before[i]);
    });
  });

  it('have a path and a state each', async () => {
    const optimizer = own(plasticOptimizer(exposing(), { '*': chain(gradientDescent(), counting) }));
    const names = (await optimizer.getWeights()).map(({ name }) => name).filter((name) => name.startsWith('pair'));
    expect(names.sort()).toEqual(['pair/bias', 'pair/bias_2', 'pair/kernel', 'pair/kernel_2'].map(stateOf).sort());
  });

  it('match selectors, and freeze with their layer', () => {
    const model = exposing();
    const pair = model.getLayer('pair');
    const optimizer = own(plasticOptimizer(model, { 'pair/kernel_2': descend(), 'pair/*': null, '*': descend() }));
    const before = values(pair);
    step(optimizer, model, random([4, 3], 1));
    expect(values(pair).map((each, i) => String(each) !== String(before[i]))).toEqual([false, false, true, false]);
    pair.trainable = false;
    const weights = (pair as Exposing).parts.map(values);
    step(optimizer, model, random([4, 3], 2));
    expect((pair as Exposing).parts.map(values)).toEqual(weights);
  });

  it('are refused without a selector', () => {
    expect(() => plasticOptimizer(exposing(), { below: descend(), 'dense*': descend() })).toThrow(
      expect.objectContaining({ code: 'UNCLAIMED_WEIGHT', message: expect.stringContaining('pair/kernel') }),
    );
  });

  it('are refused if the layer exposes them later', () => {
    const pair = new LateExposing({ name: 'pair' });
    const model = withPair(pair);
    const optimizer = own(plasticOptimizer(model, { '*': descend() }));
    const x = random([4, 3], 1);
    step(optimizer, model, x);
    pair.exposes = true;
    const before = values(model);
    const unclaimed = expect.objectContaining({
      code: 'UNCLAIMED_WEIGHT',
      help: expect.stringMatching(/plasticOptimizer/),
    });
    expect(() => optimizer.minimize(lossOf(model, x))).toThrow(unclaimed);
    expect(() => optimizer.applyGradients({})).toThrow(unclaimed);
    expect(values(model)).toEqual(before);
  });

  it('count once if another layer has them too', () => {
    class Tied extends tfl.layers.Layer {
      static className = 'Tied';
      source!: tfl.layers.Layer;
      override call(x: tf.Tensor | tf.Tensor[]) {
        const kernel = this.source.weights[0]?.read() as tf.Tensor;
        return tf.tidy(() => tf.matMul((Array.isArray(x) ? x[0] : x) as tf.Tensor2D, kernel, false, true));
      }
      override get trainableWeights() {
        return this.source === undefined ? [] : this.source.trainableWeights.slice(0, 1);
      }
      override computeOutputShape(shape: tfl.Shape) {
        return [shape[0] as number, 3];
      }
      protected override disposeWeights() {
        return 0; // they belong to the other layer
      }
    }
    const tied = () => {
      const source = tfl.layers.dense({ name: 'source', units: 2, inputShape: [3] });
      return own(tfl.sequential({ layers: [source, Object.assign(new Tied({ name: 'tied' }), { source })] }));
    };
    const [model, stock] = [tied(), tied()];
    stock.getLayer('source').setWeights(model.getLayer('source').getWeights());
    const optimizer = own(plasticOptimizer(model, { '*': descend() }));
    const x = random([4, 3], 1);
    step(optimizer, model, x);
    const sgd = own(tf.train.sgd(0.1));
    const variables = stock.getLayer('source').trainableWeights.map((weight) => weight.read() as tf.Variable);
    sgd.minimize(lossOf(stock, x), false, variables);
    expect(values(model.getLayer('source'))[0]).toBeAllClose(values(stock.getLayer('source'))[0] as number[], {
      rtol: 1e-5,
      atol: 1e-6,
    });
  });

  it('are refused if only the model exposes them', () => {
    const scale = tfl.layers.dense({ name: 'scale', units: 1 });
    scale.build([null, 1]);
    onTestFinished(() => {
      for (const weight of scale.weights) weight.dispose();
    });
    class Extended extends tfl.LayersModel {
      override get trainableWeights() {
        return [...super.trainableWeights, ...scale.trainableWeights];
      }
    }
    const input = tfl.input({ shape: [3] });
    const output = tfl.layers.dense({ units: 1 }).apply(input) as tfl.SymbolicTensor;
    const model = own(new Extended({ inputs: input, outputs: output, name: 'extended' }));
    const { numTensors } = tf.memory();
    expect(() => plasticOptimizer(model, { '*': descend() })).toThrow(
      expect.objectContaining({ code: 'UNCLAIMED_WEIGHT', message: expect.stringContaining('kernel') }),
    );
    expect(tf.memory().numTensors).toBe(numTensors);
  });

  it('are as untrainable as in tfjs if the layer hides them', () => {
    class Hiding extends classOf(tfl.layers.dense({ name: 'any', units: 1 })) {
      override get trainableWeights() {
        return super.trainableWeights.slice(0, 1);
      }
      override get nonTrainableWeights() {
        return [...super.nonTrainableWeights, ...super.trainableWeights.slice(1)];
      }
    }
    const model = withPair(new Hiding({ name: 'hiding', units: 2 }));
    const optimizer = own(plasticOptimizer(model, { '*': descend() }));
    const layer = model.getLayer('hiding') as unknown as { kernel: tfl.LayerVariable; bias: tfl.LayerVariable };
    const at = () => [layer.kernel, layer.bias].map((weight) => String(weight.read().dataSync()));
    const before = at();
    step(optimizer, model, random([4, 3], 1));
    expect(at().map((each, i) => each !== before[i])).toEqual([true, false]);
  });
});
