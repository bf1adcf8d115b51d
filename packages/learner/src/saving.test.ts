import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import '@tensorflow/tfjs-backend-cpu';
import {
  adam as adamTransform,
  bounds,
  chain,
  clipByNorm,
  clipByValue,
  cosine,
  dale,
  decayWeights,
  gradientDescent,
  keepZeros,
  type LocalRule,
  lion,
  local,
  maxAbs,
  momentum,
  normalizeUnits,
  oneCycle,
  permuted,
  piecewise,
  power,
  scaleBy,
  threeFactor,
  trace,
  unitNorm,
  unitStep,
  variable,
} from '@ghl/core';
import type { StepCounter, StepFollower } from '@ghl/core/engine';
import { specOf } from '@ghl/core/plugin';
import { gate } from '@ghl/modulator-gate';
import { scalar } from '@ghl/modulator-scalar';
import { sign } from '@ghl/modulator-sign';
import { bcm } from '@ghl/rule-bcm';
import { hpca } from '@ghl/rule-hpca';
import { swta } from '@ghl/rule-swta';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { type Assignment, type PlasticOptimizer, plasticOptimizer, register } from './index.js';
import { own, values } from './model.fixture.js';

type NamedTensor = Awaited<ReturnType<tf.Optimizer['getWeights']>>[number];

const folder = join(dirname(fileURLToPath(import.meta.url)), '..');

const factories = { bcm, gate, hpca, scalar, sign, swta };

beforeAll(async () => {
  await tf.setBackend('cpu');
});

/** A dropout whose mask depends on the step. */
class StepMask extends tfl.layers.Layer implements StepFollower {
  static className = 'StepMask';
  #step = 0;

  override call(inputs: tf.Tensor | tf.Tensor[], kwargs: { training?: boolean }): tf.Tensor {
    return tf.tidy(() => {
      const x = Array.isArray(inputs) ? (inputs[0] as tf.Tensor) : inputs;
      if (!kwargs.training) return tf.clone(x);
      return tf.mul(x, tf.greater(tf.randomUniform(x.shape, 0, 1, 'float32', 100 + this.#step), 0.3));
    });
  }

  followStep(counter: StepCounter | null): void {
    if (counter !== null) this.#step = counter.current;
  }
}
tf.serialization.registerClass(StepMask);

/** The same layer for a process that has only the build. */
const stepMask = `
class StepMask extends tfl.layers.Layer {
  static className = 'StepMask';
  step = 0;
  call(inputs, { training }) {
    return tf.tidy(() => {
      const x = Array.isArray(inputs) ? inputs[0] : inputs;
      if (!training) return tf.clone(x);
      return tf.mul(x, tf.greater(tf.randomUniform(x.shape, 0, 1, 'float32', 100 + this.step), 0.3));
    });
  }
  followStep(counter) {
    if (counter !== null) this.step = counter.current;
  }
}
tf.serialization.registerClass(StepMask);
`;

/** Names that tfjs would rewrite if they were keys of its configuration. */
function net(): tfl.LayersModel {
  return own(
    tfl.sequential({
      layers: [
        tfl.layers.conv2d({ name: 'Conv_A1', filters: 3, kernelSize: 2, activation: 'relu', inputShape: [4, 4, 2] }),
        new StepMask({ name: 'step_mask' }),
        tfl.layers.conv2d({ name: 'convB_2_', filters: 3, kernelSize: 2, activation: 'relu' }),
        tfl.layers.batchNormalization({ name: 'bn_X_' }),
        tfl.layers.flatten(),
        tfl.layers.dense({ name: 'hidden_Layer', units: 4, activation: 'tanh' }),
        tfl.layers.dense({ name: 'out', units: 2 }),
      ],
    }),
  );
}

const descend = () => chain(gradientDescent(), clipByNorm(1), lion(), scaleBy(cosine(0.01, 20)));
const byLoss = (): Assignment => {
  const adam = own(tf.train.adam(0.01));
  return {
    Conv_A1: chain(
      threeFactor(permuted(normalizeUnits(maxAbs(swta({ temperature: 0.5 }))), 3), sign()),
      decayWeights(1e-2),
      scaleBy(oneCycle(0.1, 20)),
      keepZeros(),
      dale(),
      unitNorm({ radius: 2 }),
    ),
    convB_2_: chain(
      threeFactor(trace(power(maxAbs(bcm()), 0.5), 0.9), scalar({ on: 'loss', baseline: 0.9 })),
      momentum(),
      scaleBy(0.1),
    ),
    hidden_Layer: chain(
      local(maxAbs(hpca())),
      clipByValue(0.5),
      adamTransform(),
      unitStep(piecewise(0.01, 0.5, [3])),
      bounds(-2, 2),
    ),
    'hidden_Layer/bias': adam,
    out: adam,
    '*': descend(),
  };
};

const [xs, ys] = [
  () => tf.randomNormal([6, 4, 4, 2], 0, 1, 'float32', 1),
  () => tf.randomNormal([6, 2], 0, 1, 'float32', 2),
];
const compiled = (model: tfl.LayersModel, optimizer: PlasticOptimizer) => {
  model.compile({ optimizer, loss: 'meanSquaredError' });
  return model;
};
/** Two steps per epoch on the same data. */
async function fit(model: tfl.LayersModel, epochs: number): Promise<void> {
  const data = [xs(), ys()] as const;
  await model.fit(...data, { epochs, batchSize: 3, shuffle: false, verbose: 0 });
  tf.dispose([...data]);
}

/** Saves a model as `model.save` does, through JSON. */
async function saved(model: tfl.LayersModel): Promise<{ json: string; artifacts: tf.io.ModelArtifacts }> {
  let json = '';
  tf.engine().startScope(); // tfjs leaks the copy of the iterations that its own optimizers return
  await model.save(
    tf.io.withSaveHandler(async ({ weightData, ...rest }) => {
      json = JSON.stringify({ ...rest, weightData: Buffer.from(weightData as ArrayBuffer).toString('base64') });
      return { modelArtifactsInfo: { dateSaved: new Date(0), modelTopologyType: 'JSON' } };
    }),
    { includeOptimizer: true },
  );
  tf.engine().endScope();
  return { json, artifacts: artifactsOf(json) };
}

function artifactsOf(json: string): tf.io.ModelArtifacts {
  const { weightData, ...rest } = JSON.parse(json);
  return { ...rest, weightData: new Uint8Array(Buffer.from(weightData, 'base64')).buffer };
}

const load = async (artifacts: tf.io.ModelArtifacts) => own(await tfl.loadLayersModel(tf.io.fromMemory(artifacts)));
const optimizerOf = (model: tfl.LayersModel) => own(model.optimizer as PlasticOptimizer);

describe('getWeights and setWeights', () => {
  it('carry everything that the next step depends on', async () => {
    const byReward = (): Assignment => ({
      Conv_A1: chain(threeFactor(maxAbs(bcm()), scalar({ baseline: 0.9 })), scaleBy(cosine(0.1, 10))),
      convB_2_: chain(threeFactor(maxAbs(swta()), gate({ on: 'surprise', threshold: 0.1, width: 0.5 })), scaleBy(0.1)),
      hidden_Layer: chain(threeFactor(bcm(), scalar({ per: 'example' })), scaleBy(0.1)),
      out: own(tf.train.adam(0.01)),
      '*': descend(),
    });
    const train = (model: tfl.LayersModel, optimizer: PlasticOptimizer, from: number, to: number) => {
      for (let step = from; step < to; step++) {
        tf.tidy(() => {
          const x = tf.randomNormal([3, 4, 4, 2], 0, 1, 'float32', step + 1);
          const f = () => tf.mean(tf.square(model.apply(x, { training: true }) as tf.Tensor)) as tf.Scalar;
          optimizer.minimize(f, { signals: { reward: Math.sin(step) } });
        });
      }
    };
    const [straight, resumed] = [net(), net()];
    const optimizer = own(plasticOptimizer(straight, byReward()));
    train(straight, optimizer, 0, 5);
    resumed.setWeights(straight.getWeights());
    tf.engine().startScope(); // the same leak as above
    const weights = (await optimizer.getWeights()).map(({ name, tensor }) => ({ name, tensor: tf.clone(tensor) }));
    train(straight, optimizer, 5, 10);
    const next = own(plasticOptimizer(resumed, byReward()));
    await next.setWeights(weights);
    tf.engine().endScope();
    expect(next.step).toBe(5);
    train(resumed, next, 5, 10);
    expect(next.step).toBe(10);
    expect(values(resumed)).toEqual(values(straight));
    const names = weights.map(({ name }) => name);
    expect(names).toEqual([...new Set(names)]);
    expect(names).toContain('Conv_A1/kernel/rule/theta');
    expect(names).toContain('convB_2_/kernel/modulator/baseline/mean');
  });

  it('accept the tensors that getWeights() returned', async () => {
    const [model, oracle] = [net(), net()];
    oracle.setWeights(model.getWeights());
    const optimizer = own(plasticOptimizer(model, byLoss()));
    tf.engine().startScope();
    await optimizer.setWeights(await optimizer.getWeights());
    tf.engine().endScope();
    await fit(compiled(model, optimizer), 1);
    await fit(compiled(oracle, own(plasticOptimizer(oracle, byLoss()))), 1);
    expect(values(model)).toEqual(values(oracle));
  });

  it.each<[string, (weights: NamedTensor[]) => NamedTensor[], RegExp]>([
    ['a missing one', (weights) => weights.filter(({ name }) => name !== 'convB_2_/kernel/rule/theta'), /theta/],
    ['a missing step', (weights) => weights.filter(({ name }) => name !== 'step'), /'step'/],
    ['one too many', (weights) => [...weights, { name: 'other/kernel/rule/theta', tensor: tf.zeros([3]) }], /other/],
    [
      'another shape',
      (weights) =>
        weights.map((each) => (each.name.endsWith('theta') ? { name: each.name, tensor: tf.zeros([9]) } : each)),
      /\[3\].*\[9\]/,
    ],
    ['a tfjs optimizer without its own', (weights) => weights.filter(({ name }) => !name.includes('//')), /iter/],
    ['nothing at all', () => [], /missing/],
  ])('refuse a state that does not fit, and change nothing: %s', async (_, spoil, named) => {
    const model = net();
    const optimizer = own(plasticOptimizer(model, byLoss()));
    compiled(model, optimizer);
    await fit(model, 1);
    tf.engine().startScope();
    const snapshot = async () =>
      (await optimizer.getWeights()).map(({ name, tensor }) => [name, Array.from(tensor.dataSync())]);
    const before = await snapshot();
    await expect(optimizer.setWeights(spoil(await optimizer.getWeights()))).rejects.toMatchObject({
      name: 'StateError',
      code: 'STATE_MISMATCH',
      message: expect.stringMatching(named),
    });
    expect(await snapshot()).toEqual(before);
    expect(optimizer.step).toBe(2);
    tf.engine().endScope();
  });
});

describe('a variable of schedules', () => {
  const withVariables = () => {
    const [rate, decay] = [variable(0.1), variable(0)];
    const plan = { '*': chain(gradientDescent(), decayWeights(decay), scaleBy(rate), clipByValue(rate)) };
    const model = net();
    const optimizer = own(plasticOptimizer(model, plan));
    return { rate, decay, optimizer, model: compiled(model, optimizer) };
  };

  it('is saved and restored by getWeights and setWeights, to the last bit', async () => {
    const [one, other] = [withVariables(), withVariables()];
    await fit(one.model, 1);
    one.rate.set(1 / 3);
    one.decay.set(0.05);
    tf.engine().startScope();
    const weights = await one.optimizer.getWeights();
    expect(weights.map(({ name }) => name).filter((name) => name.startsWith('var'))).toEqual(['variables']);
    await other.optimizer.setWeights(weights);
    tf.engine().endScope();
    expect([other.rate.value, other.decay.value]).toEqual([1 / 3, 0.05]);
    other.model.setWeights(one.model.getWeights());
    await fit(one.model, 2);
    await fit(other.model, 2);
    expect(values(other.model)).toEqual(values(one.model));
    tf.engine().startScope();
    const none = (await one.optimizer.getWeights()).filter(({ name }) => name !== 'variables');
    await expect(other.optimizer.setWeights(none)).rejects.toMatchObject({ code: 'STATE_MISMATCH' });
    tf.engine().endScope();
  });

  it('is saved with its model', async () => {
    register(factories);
    const { rate, model } = withVariables();
    await fit(model, 1);
    rate.set(0.01);
    const loaded = await load((await saved(model)).artifacts);
    optimizerOf(loaded);
    await fit(model, 2);
    await fit(loaded, 2);
    expect(values(loaded)).toEqual(values(model));
  });

  it('adds nothing to the state of an optimizer without variables', async () => {
    const optimizer = own(plasticOptimizer(net(), { '*': descend() }));
    expect((await optimizer.getWeights()).map(({ name }) => name)).not.toContain('variables');
  });
});

describe('a model saved with its optimizer', () => {
  it('continues bit for bit after loading', async () => {
    register(factories);
    const model = net();
    compiled(model, own(plasticOptimizer(model, byLoss())));
    await fit(model, 2);
    const { artifacts } = await saved(model);
    const loaded = await load(artifacts);
    const optimizer = optimizerOf(loaded);
    expect(optimizer.step).toBe(4);
    expect(values(loaded)).toEqual(values(model));
    await fit(model, 3);
    await fit(loaded, 3);
    expect(values(loaded)).toEqual(values(model));
  });

  it('keeps its spec, for any names in it', async () => {
    register(factories);
    const model = net();
    const { spec } = compiled(model, own(plasticOptimizer(model, byLoss()))).optimizer as PlasticOptimizer;
    const loaded = await load((await saved(model)).artifacts);
    expect(optimizerOf(loaded).spec).toEqual(JSON.parse(JSON.stringify(spec)));
    const again = await load((await saved(loaded)).artifacts);
    expect(optimizerOf(again).spec).toEqual(JSON.parse(JSON.stringify(spec)));
  });

  it('disposes of its tfjs optimizers when it is disposed of', async () => {
    register(factories);
    const model = net();
    compiled(model, own(plasticOptimizer(model, byLoss())));
    await fit(model, 1);
    const { artifacts } = await saved(model);
    const before = tf.memory().numTensors;
    const loaded = await tfl.loadLayersModel(tf.io.fromMemory(artifacts));
    await fit(loaded, 1);
    loaded.optimizer.dispose();
    loaded.dispose();
    expect(tf.memory().numTensors).toBe(before);
  });

  it('continues bit for bit in a new process', { timeout: 120_000 }, async () => {
    const model = net();
    compiled(model, own(plasticOptimizer(model, byLoss())));
    await fit(model, 2);
    const { json } = await saved(model);
    const data = own({
      x: xs(),
      y: ys(),
      dispose() {
        tf.dispose([this.x, this.y]);
      },
    });
    const scratch = mkdtempSync(join(tmpdir(), 'ghl-saving-'));
    onTestFinished(() => rmSync(scratch, { recursive: true }));
    writeFileSync(
      join(scratch, 'model.json'),
      JSON.stringify({ model: json, xs: Array.from(data.x.dataSync()), ys: Array.from(data.y.dataSync()) }),
    );
    const program = `
      import { readFileSync } from 'node:fs';
      import '@tensorflow/tfjs-backend-cpu';
      import * as tf from '@tensorflow/tfjs-core';
      import * as tfl from '@tensorflow/tfjs-layers';
      import { register } from '@ghl/learner';
      import { gate } from '@ghl/modulator-gate';
      import { scalar } from '@ghl/modulator-scalar';
      import { sign } from '@ghl/modulator-sign';
      import { bcm } from '@ghl/rule-bcm';
      import { hpca } from '@ghl/rule-hpca';
      import { swta } from '@ghl/rule-swta';
      console.warn = () => {};
      ${stepMask}
      const { model: json, xs, ys } = JSON.parse(readFileSync(process.argv[1], 'utf8'));
      const { weightData, ...rest } = JSON.parse(json);
      await tf.setBackend('cpu');
      register({ bcm, gate, hpca, scalar, sign, swta });
      const artifacts = { ...rest, weightData: new Uint8Array(Buffer.from(weightData, 'base64')).buffer };
      const model = await tfl.loadLayersModel(tf.io.fromMemory(artifacts));
      const data = [tf.tensor(xs, [6, 4, 4, 2]), tf.tensor(ys, [6, 2])];
      await model.fit(...data, { epochs: 3, batchSize: 3, shuffle: false, verbose: 0 });
      const weights = model.getWeights().map((weight) => Array.from(weight.dataSync()));
      process.stdout.write(JSON.stringify({ step: model.optimizer.step, weights }));
    `;
    const plugins = ['modulator-gate', 'modulator-scalar', 'modulator-sign', 'rule-bcm', 'rule-hpca', 'rule-swta'];
    const packages = [folder, ...plugins.map((name) => join(folder, '..', name))];
    execFileSync(process.execPath, [join(folder, '../../node_modules/typescript/bin/tsc'), '-b', ...packages]);
    const output = execFileSync(process.execPath, ['--input-type=module', '-e', program, join(scratch, 'model.json')], {
      cwd: folder,
      encoding: 'utf8',
    });
    await fit(model, 3);
    expect(JSON.parse(output.slice(output.indexOf('{')))).toEqual({ step: 10, weights: values(model) });
  });
});

describe('a third-party rule', () => {
  /** Hebb's rule, which this project does not know. */
  const myRule = (rate = 1): LocalRule => ({
    spec: specOf('myRule', rate),
    init: () => ({}),
    gate: ({ post }, state) => ({ gate: tf.mul(post, rate) as tf.Tensor2D, scope: 'none', state }),
  });
  const trained = async () => {
    const model = net();
    const plan = { Conv_A1: chain(local(maxAbs(myRule(2))), scaleBy(0.1)), '*': descend() };
    compiled(model, own(plasticOptimizer(model, plan)));
    await fit(model, 1);
    return { model, artifacts: (await saved(model)).artifacts };
  };

  it('loads and predicts without its factory, and throws UNKNOWN_FACTORY in training', async () => {
    register(factories);
    const { model, artifacts } = await trained();
    const loaded = await load(artifacts);
    const optimizer = optimizerOf(loaded);
    const x = own(xs());
    expect(own(loaded.predict(x) as tf.Tensor).dataSync()).toEqual(own(model.predict(x) as tf.Tensor).dataSync());
    const unknown = expect.objectContaining({
      code: 'UNKNOWN_FACTORY',
      help: expect.stringContaining('register({ myRule })'),
    });
    for (let attempt = 0; attempt < 2; attempt++) {
      tf.engine().startScope(); // fit() leaks a tensor when it throws
      await expect(loaded.fit(x, own(ys()), { verbose: 0 })).rejects.toEqual(unknown);
      tf.engine().endScope();
    }
    expect(() => optimizer.minimize(() => undefined)).toThrow(unknown);
    await expect(optimizer.getWeights()).rejects.toEqual(unknown);
    expect(values(loaded)).toEqual(values(model));
  });

  it('continues bit for bit with its factory', async () => {
    register({ ...factories, myRule });
    const { model, artifacts } = await trained();
    const loaded = await load(artifacts);
    optimizerOf(loaded);
    await fit(model, 2);
    await fit(loaded, 2);
    expect(values(loaded)).toEqual(values(model));
  });

  it('cannot be rebuilt with a plain function for a schedule, and throws UNNAMED_FUNCTION', async () => {
    register(factories);
    const model = net();
    compiled(
      model,
      own(
        plasticOptimizer(model, {
          '*': chain(
            gradientDescent(),
            scaleBy((step) => 1 / (1 + step)),
          ),
        }),
      ),
    );
    const loaded = await load((await saved(model)).artifacts);
    optimizerOf(loaded);
    tf.engine().startScope();
    await expect(fit(loaded, 1)).rejects.toMatchObject({ code: 'UNNAMED_FUNCTION' });
    tf.engine().endScope();
  });
});
