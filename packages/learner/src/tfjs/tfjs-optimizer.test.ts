/** TensorFlow.js's own optimizers in an assignment: saved and resumed bit for bit, and without leaks. */
import '@tensorflow/tfjs-backend-cpu';
import { chain, gradientDescent, scaleBy } from '@ghl/core';
import { loadState, saveState } from '@ghl/core/engine';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { beforeAll, describe, expect, it } from 'vitest';
import { type PlasticOptimizer, plasticOptimizer, register } from '../index.js';
import { lossOf, own, ownTf, random, saved, tfOptimizers, twins, values } from '../model.fixture.js';
import { disposeOf } from './tfjs-optimizer.js';

beforeAll(async () => {
  await tf.setBackend('cpu');
  register({});
});

const net = () =>
  own(
    tfl.sequential({
      layers: [
        tfl.layers.dense({ name: 'first', units: 3, inputShape: [3], activation: 'tanh' }),
        tfl.layers.dense({ name: 'out', units: 2 }),
      ],
    }),
  );

const rest = chain(gradientDescent(), scaleBy(0.1));

/** Moves all weights of `out` and one bias by the tfjs optimizer. */
const planOf = (optimizer: tf.Optimizer) => ({ out: optimizer, 'first/bias': optimizer, '*': rest });

function train(model: tfl.LayersModel, optimizer: tf.Optimizer, from: number, to: number): void {
  for (let step = from; step < to; step++) optimizer.minimize(lossOf(model, random([4, 3], step + 1)));
}

/** Saves the model with its optimizer, and loads both. */
async function reloaded(model: tfl.LayersModel): Promise<[tfl.LayersModel, PlasticOptimizer]> {
  const loaded = own(await tfl.loadLayersModel(tf.io.fromMemory(await saved(model))));
  return [loaded, own(loaded.optimizer as PlasticOptimizer)];
}

function compiled(theirs: tf.Optimizer): [tfl.LayersModel, PlasticOptimizer] {
  const model = net();
  const optimizer = own(plasticOptimizer(model, planOf(theirs)));
  model.compile({ optimizer, loss: 'meanSquaredError' });
  return [model, optimizer];
}

describe.each(tfOptimizers)('tf.train.%s', (_, make) => {
  it.each([0, 3])('is saved and loaded with its model, after %i steps, bit for bit', async (steps) => {
    const [model, optimizer] = compiled(ownTf(make()));
    train(model, optimizer, 0, steps);
    const [loaded, again] = await reloaded(model);
    expect(again.step).toBe(steps);
    train(model, optimizer, steps, steps + 3);
    train(loaded, again, steps, steps + 3);
    expect(values(loaded)).toEqual(values(model));
  });

  it('passes its state to a new optimizer through saveState and loadState', async () => {
    const [model, oracle] = twins(net);
    const [theirs, fresh] = [ownTf(make()), ownTf(make())];
    const [straight, resumed] = [
      own(plasticOptimizer(oracle, planOf(theirs))),
      own(plasticOptimizer(model, planOf(fresh))),
    ];
    train(oracle, straight, 0, 3);
    model.setWeights(oracle.getWeights());
    const treeOf = async (optimizer: PlasticOptimizer) =>
      Object.fromEntries((await optimizer.getWeights()).map(({ name, tensor }) => [name, tensor]));
    const loaded = loadState(await saveState(await treeOf(straight)), await treeOf(resumed));
    await resumed.setWeights(Object.entries(loaded).map(([name, tensor]) => ({ name, tensor: own(tensor) })));
    expect(fresh.iterations).toBe(3);
    train(oracle, straight, 3, 6);
    train(model, resumed, 3, 6);
    expect(values(model)).toEqual(values(oracle));
  });

  it('restores its state after further steps', async () => {
    const [model, optimizer] = compiled(ownTf(make()));
    train(model, optimizer, 0, 2);
    const weights = model.getWeights().map((weight) => own(tf.clone(weight)));
    const state = (await optimizer.getWeights()).map(({ name, tensor }) => ({ name, tensor: own(tf.clone(tensor)) }));
    train(model, optimizer, 2, 5);
    const there = values(model);
    const count = tf.memory().numTensors;
    await optimizer.setWeights(state);
    expect(tf.memory().numTensors).toBe(count);
    model.setWeights(weights);
    train(model, optimizer, 2, 5);
    expect(values(model)).toEqual(there);
  });

  it('leaks nothing when it is saved, loaded and disposed of', async () => {
    const [model, optimizer] = compiled(ownTf(make()));
    train(model, optimizer, 0, 2);
    const artifacts = await saved(model);
    const before = tf.memory().numTensors;
    await saved(model);
    await optimizer.getWeights();
    expect(tf.memory().numTensors).toBe(before);
    for (let i = 0; i < 2; i++) {
      const loaded = await tfl.loadLayersModel(tf.io.fromMemory(artifacts));
      train(loaded, loaded.optimizer, 2, 3);
      loaded.optimizer.dispose();
      loaded.dispose();
    }
    train(model, optimizer, 2, 3);
    expect(tf.memory().numTensors).toBe(before + 3); // the batches of three steps
  });

  const one = make();
  const fields = Object.keys(one.getConfig());
  disposeOf(one);
  it.each(fields)('is loaded with the changed setting: %s', async (field) => {
    const theirs = ownTf(make());
    const settings = theirs as unknown as Record<string, number | boolean>;
    const [model, optimizer] = compiled(theirs);
    train(model, optimizer, 0, 2);
    const value = settings[field] as number | boolean;
    settings[field] = typeof value === 'boolean' ? !value : value / 2;
    const [loaded, again] = await reloaded(model);
    expect(again.spec).toEqual(optimizer.spec);
    const config = theirs.getConfig();
    expect(config[field]).toBe(settings[field]);
    expect(optimizer.spec.out).toEqual({ optimizer: theirs.getClassName(), config });
    train(model, optimizer, 2, 5);
    train(loaded, again, 2, 5);
    expect(values(loaded)).toEqual(values(model));
  });
});

describe('a setting that tfjs ignores takes effect at the next step', () => {
  const set: readonly [string, (optimizer: tf.MomentumOptimizer) => void, () => tf.Optimizer][] = [
    ['learningRate', (optimizer) => Object.assign(optimizer, { learningRate: 0.2 }), () => tf.train.momentum(0.2, 0.8)],
    ['setLearningRate()', (optimizer) => optimizer.setLearningRate(0.2), () => tf.train.momentum(0.2, 0.8)],
    ['setMomentum()', (optimizer) => optimizer.setMomentum(0.1), () => tf.train.momentum(0.05, 0.1)],
  ];
  it.each(set)('takes effect: %s', (_, change, like) => {
    const [model, oracle] = twins(net);
    const theirs = ownTf(tf.train.momentum(0.05, 0.8));
    const [optimizer, other] = [
      own(plasticOptimizer(model, planOf(theirs))),
      own(plasticOptimizer(oracle, planOf(ownTf(like())))),
    ];
    change(theirs);
    train(model, optimizer, 0, 3);
    train(oracle, other, 0, 3);
    expect(values(model)).toEqual(values(oracle));
    const before = tf.memory().numTensors;
    theirs.setLearningRate(0.01);
    train(model, optimizer, 3, 4);
    train(oracle, other, 3, 4);
    expect(values(model)).not.toEqual(values(oracle));
    expect(tf.memory().numTensors).toBe(before + 2); // the batches
  });
});

describe('a custom optimizer', () => {
  /** Adam with weight decay. Its state is that of Adam. */
  class AdamW extends tf.AdamOptimizer {
    static override get className() {
      return 'AdamW';
    }
    override applyGradients(gradients: tf.NamedTensorMap | { name: string; tensor: tf.Tensor }[]): void {
      super.applyGradients(gradients as never);
      for (const { name } of gradients as { name: string }[]) {
        const variable = tf.engine().registeredVariables[name] as tf.Variable;
        tf.tidy(() => variable.assign(tf.mul(variable, 0.99)));
      }
    }
  }
  /** Averages gradients, and saves itself. */
  class Mean extends tf.Optimizer {
    static readonly className: string = 'Mean';
    mean = new Map<string, tf.Tensor>();
    override applyGradients(gradients: tf.NamedTensorMap | { name: string; tensor: tf.Tensor }[]): void {
      for (const { name, tensor } of gradients as { name: string; tensor: tf.Tensor }[]) {
        const variable = tf.engine().registeredVariables[name] as tf.Variable;
        const before = this.mean.get(name);
        const mean = tf.tidy(() => (before === undefined ? tf.clone(tensor) : tf.mul(tf.add(before, tensor), 0.5)));
        before?.dispose();
        this.mean.set(name, tf.keep(mean));
        tf.tidy(() => variable.assign(tf.sub(variable, tf.mul(mean, 0.1))));
      }
    }
    override async getWeights() {
      return [...this.mean].map(([name, tensor]) => ({ name, tensor }));
    }
    override async setWeights(weights: { name: string; tensor: tf.Tensor }[]) {
      const clones = weights.map(({ name, tensor }) => [name, tf.keep(tf.clone(tensor))] as const);
      this.dispose();
      this.mean = new Map(clones);
    }
    override dispose() {
      tf.dispose([...this.mean.values()]);
    }
    getConfig() {
      return {};
    }
  }
  class Forgetful extends Mean {
    static override readonly className = 'Forgetful';
  }
  Forgetful.prototype.getWeights = tf.Optimizer.prototype.getWeights;
  for (const each of [AdamW, Mean, Forgetful]) tf.serialization.registerClass(each as never);

  it('is saved as a stock optimizer if it extends one', async () => {
    const [model, optimizer] = compiled(ownTf(new AdamW(0.03, 0.8, 0.95)));
    const before = values(model);
    await optimizer.getWeights();
    expect(values(model)).toEqual(before);
    train(model, optimizer, 0, 2);
    const [loaded, again] = await reloaded(model);
    train(model, optimizer, 2, 4);
    train(loaded, again, 2, 4);
    expect(values(loaded)).toEqual(values(model));
  });

  it('saves and loads itself', async () => {
    const [model, oracle] = twins(net);
    const [optimizer, straight] = [new Mean(), new Mean()].map((theirs, i) =>
      own(plasticOptimizer(i === 0 ? model : oracle, planOf(ownTf(theirs)))),
    ) as [PlasticOptimizer, PlasticOptimizer];
    train(model, optimizer, 0, 2);
    train(oracle, straight, 0, 2);
    const state = (await optimizer.getWeights()).map(({ name, tensor }) => ({ name, tensor: own(tf.clone(tensor)) }));
    await optimizer.setWeights(state);
    train(model, optimizer, 2, 4);
    train(oracle, straight, 2, 4);
    expect(values(model)).toEqual(values(oracle));
  });

  it('is refused by name on saving if it cannot save itself', async () => {
    const [model, optimizer] = compiled(ownTf(new Forgetful()));
    const refused = {
      name: 'UnsupportedError',
      code: 'OPTIMIZER_NOT_SAVED',
      message: expect.stringMatching('Forgetful'),
    };
    await expect(optimizer.getWeights()).rejects.toMatchObject(refused);
    await expect(saved(model)).rejects.toMatchObject(refused);
  });
});
