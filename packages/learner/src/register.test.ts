/** `register()`: saved optimizers of this package load, and those of TensorFlow.js load as before. */
import '@tensorflow/tfjs-backend-cpu';
import { chain, gradientDescent, local, scaleBy } from '@ghl/core';
import { oja } from '@ghl/rule-oja';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import { PlasticOptimizer, plasticOptimizer, register } from './index.js';
import { own, ownTf, random, saved, tfOptimizers, values } from './model.fixture.js';

beforeAll(async () => {
  await tf.setBackend('cpu');
});

const net = () =>
  own(tfl.sequential({ layers: [tfl.layers.dense({ name: 'out', units: 2, inputShape: [3], activation: 'tanh' })] }));

async function fit(model: tfl.LayersModel): Promise<void> {
  await model.fit(random([4, 3], 1), random([4, 2], 2), { epochs: 2, verbose: 0 });
}

/** Saves a model and loads it. */
async function reloaded(model: tfl.LayersModel): Promise<tfl.LayersModel> {
  tf.engine().startScope(); // tfjs leaks the copy of the iterations
  const artifacts = await saved(model);
  tf.engine().endScope();
  return own(await tfl.loadLayersModel(tf.io.fromMemory(artifacts)));
}

const whens: readonly [when: string, before: number, after: number][] = [
  ['called before loading', 1, 0],
  ['called twice', 2, 0],
  ['called after loading', 0, 1],
];

describe.each(whens)('with register() %s', (_, before, after) => {
  // Stock TensorFlow.js does not save Adamax.
  it.each(tfOptimizers.filter(([name]) => !name.startsWith('adamax')))(
    'loads a model of tf.train.%s',
    async (_name, make) => {
      const model = net();
      const optimizer = ownTf(make());
      model.compile({ optimizer, loss: 'meanSquaredError' });
      await fit(model);
      for (let i = 0; i < before; i++) register({});
      const loaded = await reloaded(model);
      for (let i = 0; i < after; i++) register({});
      expect(loaded.optimizer.getClassName()).toBe(optimizer.getClassName());
      expect(loaded.optimizer.getConfig()).toEqual(optimizer.getConfig());
      expect(loaded.optimizer instanceof PlasticOptimizer).toBe(false);
      ownTf(loaded.optimizer);
      await fit(model);
      await fit(loaded);
      // tfjs recomputes Adam's powers of β, which differ in the last bit.
      values(model).forEach((each, i) => {
        expect(values(loaded)[i]).toBeAllClose(each);
      });
    },
  );
});

describe('instanceof PlasticOptimizer', () => {
  const plan = () => ({ '*': chain(gradientDescent(), scaleBy(0.1)) });

  it('is true only for its instances and those of its subclasses', () => {
    class Mine extends PlasticOptimizer {}
    const [optimizer, mine] = [own(plasticOptimizer(net(), plan())), own(new Mine(plan()))];
    expect([optimizer instanceof PlasticOptimizer, optimizer instanceof Mine]).toEqual([true, false]);
    expect([mine instanceof PlasticOptimizer, mine instanceof Mine]).toEqual([true, true]);
    expect([optimizer, mine].every((each) => each instanceof tf.Optimizer)).toBe(true);
    for (const value of [null, undefined, 0, 'adam', {}, () => {}, Object.create(null)]) {
      expect((value as unknown) instanceof PlasticOptimizer).toBe(false);
    }
  });

  it.each(tfOptimizers)('is false for tf.train.%s', (_, make) => {
    expect((ownTf(make()) as unknown) instanceof PlasticOptimizer).toBe(false);
  });

  it('is true for an optimizer of another copy of this package, and either copy loads it', async () => {
    vi.resetModules();
    onTestFinished(() => register({}));
    const copy = await import('./index.js');
    expect(copy.PlasticOptimizer).not.toBe(PlasticOptimizer);
    const model = net();
    const optimizer = own(copy.plasticOptimizer(model, plan()));
    expect((optimizer as unknown) instanceof PlasticOptimizer).toBe(true);
    model.compile({ optimizer, loss: 'meanSquaredError' });
    for (const [mine, other] of [
      [register, copy.register],
      [copy.register, register],
    ] as const) {
      mine({});
      other({});
      const loaded = await reloaded(model);
      expect(own(loaded.optimizer)).toBeInstanceOf(PlasticOptimizer);
      await fit(model);
      await fit(loaded);
      expect(values(loaded)).toEqual(values(model));
    }
  });

  it('throws UNKNOWN_FACTORY with the name of a factory that register() did not receive', async () => {
    const model = net();
    const optimizer = own(plasticOptimizer(model, { 'out/kernel': local(oja()), '*': plan()['*'] }));
    model.compile({ optimizer, loss: 'meanSquaredError' });
    const artifacts = await saved(model);
    const load = async () => {
      const loaded = own(await tfl.loadLayersModel(tf.io.fromMemory(artifacts)));
      own(loaded.optimizer);
      return () => loaded.optimizer.minimize(() => tf.mean(loaded.apply(random([4, 3], 1)) as tf.Tensor));
    };
    register({});
    expect(await load()).toThrow(
      expect.objectContaining({ code: 'UNKNOWN_FACTORY', help: expect.stringContaining('register({ oja })') }),
    );
    register({ oja });
    expect(await load()).not.toThrow();
  });

  it('throws the reason when a loaded optimizer cannot be rebuilt, in any copy of this package', async () => {
    const model = net();
    const optimizer = own(
      plasticOptimizer(model, {
        '*': chain(
          gradientDescent(),
          scaleBy((step) => 1 / (1 + step)),
        ),
      }),
    );
    model.compile({ optimizer, loss: 'meanSquaredError' });
    register({});
    vi.resetModules();
    onTestFinished(() => register({}));
    (await import('./index.js')).register({});
    const loaded = await reloaded(model);
    expect(() => own(loaded.optimizer).minimize(() => tf.scalar(0))).toThrow(
      expect.objectContaining({ code: 'UNNAMED_FUNCTION' }),
    );
  });
});
