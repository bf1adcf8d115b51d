import '@tensorflow/tfjs-backend-cpu';
import {
  chain,
  decayWeights,
  gradientDescent,
  local,
  maxAbs,
  type Plasticity,
  rms,
  scaleBy,
  threeFactor,
} from '@ghl/core';
import { specOf } from '@ghl/core/plugin';
import { sign } from '@ghl/modulator-sign';
import { hpca } from '@ghl/rule-hpca';
import { oja } from '@ghl/rule-oja';
import { swta } from '@ghl/rule-swta';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { beforeAll, describe, expect, it } from 'vitest';
import { type Assignment, type ForwardPass, type LayerStatistics, plasticOptimizer } from './index.js';
import { lossOf, own, random, variableOf } from './model.fixture.js';

beforeAll(async () => {
  await tf.setBackend('cpu');
});

const rest = chain(gradientDescent(), scaleBy(0.1));

function net(): tfl.LayersModel {
  return own(
    tfl.sequential({
      layers: [
        tfl.layers.conv2d({ name: 'conv', filters: 3, kernelSize: 2, useBias: false, inputShape: [4, 4, 2] }),
        tfl.layers.flatten(),
        tfl.layers.dense({ name: 'out', units: 2 }),
      ],
    }),
  );
}

/** The statistics by their definitions, in double precision. */
function byHand(increment: readonly number[], slope: readonly number[]) {
  const dot = (a: readonly number[], b: readonly number[]) =>
    a.reduce((sum, each, i) => sum + each * (b[i] as number), 0);
  const descent = slope.map((each) => -each);
  const both = increment.flatMap((each, i) =>
    each * (descent[i] as number) === 0 ? [] : [each * (descent[i] as number)],
  );
  return {
    incrementNorm: Math.sqrt(dot(increment, increment)),
    alignment: dot(increment, descent) / Math.sqrt(dot(increment, increment) * dot(descent, descent)),
    signAgreement: both.filter((each) => each > 0).length / both.length,
  };
}

async function measured(model: tfl.LayersModel, assignment: Assignment, x: tf.Tensor) {
  const optimizer = own(plasticOptimizer(model, assignment));
  const names = ['conv', 'out'];
  const before = names.map((layer) => Array.from(variableOf(model, layer).dataSync()));
  const slopes = tf.tidy(() => {
    const { grads } = tf.variableGrads(
      lossOf(model, x),
      names.map((layer) => variableOf(model, layer)),
    );
    return names.map((layer) => Array.from((grads[variableOf(model, layer).name] as tf.Tensor).dataSync()));
  });
  const y = tf.tidy(() =>
    Array.from(tf.conv2d(x as tf.Tensor4D, variableOf(model, 'conv') as never, 1, 'valid').dataSync()),
  );
  const pending = optimizer.measureNextStep();
  optimizer.minimize(lossOf(model, x));
  const increments = names.map((layer, k) =>
    Array.from(variableOf(model, layer).dataSync(), (after, i) => after - (before[k]?.[i] as number)),
  );
  return { statistics: await pending, increments, slopes, y };
}

describe('measureNextStep', () => {
  it.each<[string, Plasticity]>([
    ['swta × sign with decay', chain(threeFactor(maxAbs(swta()), sign()), decayWeights(0.5), scaleBy(0.1))],
    ['oja alone, which reads no gradient', chain(local(oja()), scaleBy(0.01))],
    ['hpca × sign, flipped', chain(threeFactor(maxAbs(hpca()), sign({ mode: 'flip' })), scaleBy(0.1))],
  ])('returns the statistics of the definitions: %s', async (_, head) => {
    const model = net();
    const { statistics, increments, slopes, y } = await measured(
      model,
      { conv: head, '*': rest },
      random([3, 4, 4, 2], 1),
    );
    expect(Object.keys(statistics).sort()).toEqual(['conv', 'out']);
    ['conv', 'out'].forEach((layer, k) => {
      const expected = byHand(increments[k] as number[], slopes[k] as number[]);
      const { incrementNorm, alignment, signAgreement } = statistics[layer] as LayerStatistics;
      expect([incrementNorm, alignment, signAgreement]).toBeAllClose(Object.values(expected), {
        rtol: 1e-3,
        atol: 1e-4,
      });
    });
    // Gradient descent itself.
    expect(statistics.out?.alignment).toBeCloseTo(1, 5);
    expect(statistics.out?.winShare).toEqual([]);
    const wins = [0, 0, 0];
    for (let p = 0; p < y.length; p += 3) {
      const position = y.slice(p, p + 3);
      const winner = position.indexOf(Math.max(...position));
      wins[winner] = (wins[winner] as number) + 1;
    }
    expect(statistics.conv?.winShare).toBeAllClose(
      wins.map((each) => each / (y.length / 3)),
      { rtol: 1e-5 },
    );
  });

  it.each<[string, () => Plasticity]>([
    ['swta × sign', () => threeFactor(maxAbs(swta()), sign())],
    ['rms × sign', () => threeFactor(rms(maxAbs(swta())), sign())],
    ['gradient', () => gradientDescent()],
  ])('reports full sign agreement if the updater follows the gradient: %s', async (_, head) => {
    const { statistics } = await measured(
      net(),
      { conv: chain(head(), scaleBy(0.1)), '*': rest },
      random([3, 4, 4, 2], 1),
    );
    expect(statistics.conv?.signAgreement).toBe(1);
    expect(statistics.conv?.alignment).toBeGreaterThan(0);
  });

  it('reports all wins for a single unit', async () => {
    const model = own(
      tfl.sequential({ layers: [tfl.layers.dense({ name: 'one', units: 1, useBias: false, inputShape: [3] })] }),
    );
    const optimizer = own(plasticOptimizer(model, { '*': chain(threeFactor(maxAbs(oja()), sign()), scaleBy(0.1)) }));
    const pending = optimizer.measureNextStep();
    optimizer.minimize(lossOf(model, random([4, 3], 1)));
    const { one } = await pending;
    expect(one?.winShare).toEqual([1]);
    expect(one?.alignment).toBeGreaterThan(0);
  });

  const scales = [1e-38, 1e-30, 1e-20, 1e-3, 1e3, 3e19, 1e30, 1e37];

  it.each(scales)('reports the alignment with a gradient of any size: %f', async (scale) => {
    const statistics = await Promise.all(
      [1, scale].map(async (each) => {
        const weight = tf.tidy(() => tf.randomNormal([3, 2], 0, 1, 'float32', 5));
        const model = own(
          tfl.sequential({ layers: [tfl.layers.dense({ name: 'out', units: 2, useBias: false, inputShape: [3] })] }),
        );
        model.setWeights([weight]);
        weight.dispose();
        const optimizer = own(plasticOptimizer(model, { '*': chain(local(maxAbs(oja())), scaleBy(0.1)) }));
        const pending = optimizer.measureNextStep();
        const x = random([4, 3], 1);
        const y = random([4, 2], 2);
        optimizer.minimize(() =>
          tf.tidy(() => tf.mul(each, tf.sum(tf.mul(y, model.apply(x) as tf.Tensor))) as tf.Scalar),
        );
        return (await pending).out as LayerStatistics;
      }),
    );
    const [plain, scaled] = statistics as [LayerStatistics, LayerStatistics];
    expect(scaled.alignment).toBeCloseTo(plain.alignment, 3);
    expect(plain.alignment).not.toBe(0);
    expect(scaled.signAgreement).toBeCloseTo(plain.signAgreement, 6);
    expect(scaled.incrementNorm).toBe(plain.incrementNorm);
  });

  it.each(scales)('reports the norm of an increment of any size: %f', async (scale) => {
    const model = own(
      tfl.sequential({
        layers: [
          tfl.layers.dense({
            name: 'out',
            units: 2,
            useBias: false,
            kernelInitializer: 'zeros',
            inputShape: [3],
          }),
        ],
      }),
    );
    const optimizer = own(plasticOptimizer(model, { '*': chain(gradientDescent(), scaleBy(scale)) }));
    const pending = optimizer.measureNextStep();
    const [x, y] = [random([4, 3], 1), random([4, 2], 2)];
    optimizer.minimize(() => tf.tidy(() => tf.sum(tf.mul(y, model.apply(x) as tf.Tensor)) as tf.Scalar));
    const { out } = await pending;
    const moved = Array.from(variableOf(model, 'out').dataSync()); // in double precision from here
    expect((out as LayerStatistics).incrementNorm / Math.hypot(...moved)).toBeCloseTo(1, 2);
    expect(out?.alignment).toBeCloseTo(1, 2);
    await optimizer.checkFinite();
  });

  it.each<[string, Assignment, (model: tfl.LayersModel, x: tf.Tensor) => ReturnType<ForwardPass>]>([
    ['no loss', { conv: chain(local(maxAbs(swta())), scaleBy(0.1)), '*': null }, (model, x) => void model.apply(x)],
    [
      'a loss that depends on nothing',
      { conv: chain(local(maxAbs(swta())), scaleBy(0.1)), '*': null },
      (model, x) => {
        model.apply(x);
        return tf.scalar(1);
      },
    ],
    [
      'no loss, of two layers',
      { conv: chain(local(maxAbs(swta())), scaleBy(0.1)), 'out/kernel': local(oja()), '*': null },
      (model, x) => void model.apply(x),
    ],
  ])('requires no loss if nothing reads it: %s', async (_, assignment, f) => {
    const [model, oracle] = [net(), net()];
    oracle.setWeights(model.getWeights());
    const [optimizer, unmeasured] = [
      own(plasticOptimizer(model, assignment)),
      own(plasticOptimizer(oracle, assignment)),
    ];
    const before = Array.from(variableOf(model, 'conv').dataSync());
    const x = random([3, 4, 4, 2], 1);
    const pending = optimizer.measureNextStep();
    optimizer.minimize(() => f(model, x));
    unmeasured.minimize(() => f(oracle, x));
    const { conv } = await pending;
    const after = Array.from(variableOf(model, 'conv').dataSync());
    expect(after).toEqual(Array.from(variableOf(oracle, 'conv').dataSync()));
    expect(conv?.incrementNorm).toBeCloseTo(Math.hypot(...after.map((each, i) => each - (before[i] as number))), 5);
    expect([conv?.alignment, conv?.signAgreement]).toEqual([0, 0]);
    expect(conv?.winShare.reduce((sum, each) => sum + each, 0)).toBeCloseTo(1, 5);
  });

  it('measures one step only, and leaks no memory', async () => {
    const model = net();
    const optimizer = own(plasticOptimizer(model, { conv: chain(local(oja()), scaleBy(0.01)), '*': rest }));
    const x = random([3, 4, 4, 2], 1);
    const before = tf.memory().numTensors;
    const pending = optimizer.measureNextStep();
    expect(() => optimizer.measureNextStep()).toThrow(expect.objectContaining({ code: 'ALREADY_MEASURING' }));
    optimizer.minimize(lossOf(model, x));
    const afterStep = tf.memory().numTensors;
    expect(afterStep).toBeGreaterThan(before);
    await pending;
    expect(tf.memory().numTensors).toBe(before);
    optimizer.minimize(lossOf(model, x));
    expect(tf.memory().numTensors).toBe(before);
  });

  it('reports 0 for a layer on which the loss does not depend, and omits a layer that did not run', async () => {
    const input = tfl.input({ shape: [3] });
    const heads = ['left', 'right', 'idle'].map(
      (name) => tfl.layers.dense({ name, units: 2, useBias: false }).apply(input) as tfl.SymbolicTensor,
    );
    const model = own(tfl.model({ inputs: input, outputs: heads }));
    const part = tfl.model({ inputs: input, outputs: heads.slice(0, 2) });
    const optimizer = own(plasticOptimizer(model, { '*': local(oja()) }));
    const pending = optimizer.measureNextStep();
    const x = random([4, 3], 1);
    optimizer.minimize(() => tf.mean((part.apply(x) as tf.Tensor[])[0] as tf.Tensor) as tf.Scalar);
    const { left, right, ...others } = await pending;
    expect(left?.alignment).not.toBe(0);
    expect([right?.alignment, right?.signAgreement]).toEqual([0, 0]);
    expect(right?.incrementNorm).toBeGreaterThan(0);
    expect(others).toEqual({});
  });

  it('rejects if the step throws, and can be requested again', async () => {
    const model = net();
    const optimizer = own(plasticOptimizer(model, { conv: chain(local(oja()), scaleBy(0.01)), '*': rest }));
    const pending = optimizer.measureNextStep();
    const fail = () => {
      throw new Error('mine');
    };
    expect(() => optimizer.minimize(fail)).toThrow('mine');
    await expect(pending).rejects.toThrow('mine');
    const again = optimizer.measureNextStep();
    optimizer.minimize(lossOf(model, random([3, 4, 4, 2], 1)));
    expect((await again).conv?.incrementNorm).toBeGreaterThan(0);
  });

  it('leaks no tensors if a step throws after the measurement', async () => {
    const model = net();
    const faulty = {
      spec: specOf('faulty'),
      init: () => ({}),
      update: () => {
        throw new Error('mine');
      },
    };
    const optimizer = own(
      plasticOptimizer(model, { conv: local(maxAbs(oja())), out: chain(gradientDescent(), faulty) }),
    );
    const f = lossOf(model, random([3, 4, 4, 2], 1));
    const before = tf.memory().numTensors;
    const pending = optimizer.measureNextStep();
    expect(() => optimizer.minimize(f)).toThrow('mine');
    await expect(pending).rejects.toThrow('mine');
    expect(tf.memory().numTensors).toBe(before);
  });

  it('rejects after dispose()', async () => {
    const optimizer = plasticOptimizer(net(), { '*': rest });
    const pending = optimizer.measureNextStep();
    optimizer.dispose();
    await expect(pending).rejects.toMatchObject({ code: 'DISPOSED' });
  });

  it('costs nothing without a request', async () => {
    const model = net();
    const x = random([3, 4, 4, 2], 1);
    const optimizer = own(plasticOptimizer(model, { conv: chain(local(oja()), scaleBy(0.01)), '*': null }));
    const kernels = async () => {
      const { kernels: ran, result } = await tf.profile(() => {
        optimizer.minimize(lossOf(model, x));
        return tf.scalar(0);
      });
      (result as tf.Scalar).dispose();
      return ran.map(({ name }) => name);
    };
    const plain = await kernels();
    const pending = optimizer.measureNextStep();
    const measuring = await kernels();
    await pending;
    expect(await kernels()).toEqual(plain);
    expect(measuring.length).toBeGreaterThan(plain.length);
    for (const name of ['ArgMax', 'OneHot', 'Sqrt']) {
      expect([name, plain.includes(name), measuring.includes(name)]).toEqual([name, false, true]);
    }
  });
});
