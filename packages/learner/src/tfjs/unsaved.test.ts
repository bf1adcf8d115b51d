/** Losses, metrics and files that TensorFlow.js does not save: the errors have codes, and a second compile() helps. */
import '@tensorflow/tfjs-backend-cpu';
import { chain, gradientDescent, scaleBy } from '@ghl/core';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import { type PlasticOptimizer, plasticOptimizer, register } from '../index.js';
import { own, ownTf, random, saved, values } from '../model.fixture.js';

beforeAll(async () => {
  await tf.setBackend('cpu');
  register({});
});

type Compiled = Omit<tfl.ModelCompileArgs, 'optimizer'>;

function net(outputs: number): tfl.LayersModel {
  const input = tfl.input({ shape: [3] });
  const heads = ['a', 'b'].slice(0, outputs).map((name) => tfl.layers.dense({ name, units: 2 }).apply(input));
  return own(tfl.model({ inputs: input, outputs: heads as tfl.SymbolicTensor[] }));
}

/** A trained model, and a loaded copy. tfjs warns of a missing loss. */
async function pair(args: Compiled, outputs: number): Promise<[tfl.LayersModel, tfl.LayersModel]> {
  const model = net(outputs);
  const optimizer = own(plasticOptimizer(model, { '*': chain(gradientDescent(), scaleBy(0.1)) }));
  model.compile({ optimizer, ...args });
  await fit(model);
  const artifacts = await saved(model);
  const warned = vi.spyOn(console, 'warn').mockImplementation(() => {});
  const loaded = own(await tfl.loadLayersModel(tf.io.fromMemory(artifacts)));
  warned.mockRestore();
  own(loaded.optimizer);
  return [model, loaded];
}

const labels = (model: tfl.LayersModel) => model.outputs.map((_, i) => random([4, 2], 2 + i));
const fit = (model: tfl.LayersModel) => model.fit(random([4, 3], 1), labels(model), { epochs: 2, verbose: 0 });

const mine = (label: tf.Tensor, output: tf.Tensor) => tf.mean(tf.abs(tf.sub(label, output)), -1);
const mse = 'meanSquaredError';

describe('a model with', () => {
  it.each<[string, Compiled, number, string, RegExp]>([
    ['a custom loss', { loss: mine }, 1, 'LOSS_NOT_SAVED', /'a'/],
    ['an anonymous loss', { loss: (y, p) => mine(y, p) }, 1, 'LOSS_NOT_SAVED', /'a'/],
    ['a loss of tf.metrics', { loss: tfl.metrics.meanSquaredError }, 1, 'LOSS_NOT_SAVED', /'a'/],
    ['a custom loss for two outputs', { loss: mine }, 2, 'LOSS_NOT_SAVED', /'a'/],
    ['a custom metric', { loss: mse, metrics: [mine] }, 1, 'METRIC_NOT_SAVED', /'mine'/],
    ['one custom metric', { loss: mse, metrics: mine }, 1, 'METRIC_NOT_SAVED', /'mine'/],
    ['an anonymous metric', { loss: mse, metrics: [(y, p) => mine(y, p)] }, 1, 'METRIC_NOT_SAVED', /''/],
    ['metrics by output', { loss: mse, metrics: { a: 'accuracy', b: mine } }, 2, 'METRIC_NOT_SAVED', /'mine'/],
    ['a loss and a metric', { loss: mine, metrics: [mine] }, 1, 'LOSS_NOT_SAVED', /'a'/],
  ])('%s loads and predicts, and trains after it is compiled again', async (_, args, outputs, code, message) => {
    const [model, loaded] = await pair(args, outputs);
    expect(values(loaded)).toEqual(values(model));
    tf.dispose(loaded.predict(random([4, 3], 1)));
    const refused = { name: 'StateError', code, message: expect.stringMatching(message) };
    tf.engine().startScope(); // fit() and evaluate() leak tensors when they throw
    await expect(fit(loaded)).rejects.toMatchObject(refused);
    expect(() => loaded.evaluate(random([4, 3], 1), labels(loaded))).toThrow(expect.objectContaining(refused));
    tf.engine().endScope();
    expect(values(loaded)).toEqual(values(model));
    expect((loaded.optimizer as PlasticOptimizer).step).toBe(2);
    loaded.compile({ optimizer: loaded.optimizer, ...args });
    await fit(model);
    await fit(loaded);
    expect(values(loaded)).toEqual(values(model));
  });

  it.each<[string, Compiled, number]>([
    ['a loss', { loss: mse }, 1],
    ['a loss for each output', { loss: [mse, 'meanAbsoluteError'] }, 2],
    ['losses by output', { loss: { a: mse, b: 'meanAbsoluteError' } }, 2],
    ['metrics', { loss: mse, metrics: ['accuracy', 'mse'] }, 1],
    ['metrics by output', { loss: mse, metrics: { a: 'accuracy' } }, 2],
  ])('%s by name continues', async (_, args, outputs) => {
    const [model, loaded] = await pair(args, outputs);
    await fit(model);
    await fit(loaded);
    expect(values(loaded)).toEqual(values(model));
  });

  it.each<[string, Compiled['loss']]>([
    ['a list', [mine]],
    ['a record', { a: mine }],
  ])('custom losses in %s cannot be saved with its optimizer', async (_, loss) => {
    const model = net(1);
    model.compile({ optimizer: own(plasticOptimizer(model, { '*': chain(gradientDescent(), scaleBy(0.1)) })), loss });
    await expect(saved(model)).rejects.toMatchObject({ name: 'StateError', code: 'LOSS_NOT_SAVED' });
  });

  it('an optimizer of tfjs keeps the behaviour of tfjs', async () => {
    const model = net(1);
    model.compile({ optimizer: ownTf(tf.train.sgd(0.1)), loss: [mine] });
    await expect(saved(model)).rejects.toThrow('Serialization of non-string loss');
  });
});

describe('in Node without tfjs-node', () => {
  const refused = (url: string) => ({
    name: 'UnsupportedError',
    code: 'NO_IO_HANDLER',
    message: expect.stringContaining(`'${url}'`),
    help: expect.stringMatching('README'),
  });

  it.each([
    'file:///model',
    './model',
    '/model',
    'localstorage://model',
    'indexeddb://model',
    'downloads://model',
    'other://model',
  ])('rejects to save to %s and to load from it', async (url) => {
    const model = net(1);
    own(plasticOptimizer(model, { '*': chain(gradientDescent(), scaleBy(0.1)) }));
    await expect(model.save(url)).rejects.toMatchObject(refused(url));
    await expect(tfl.loadLayersModel(url)).rejects.toMatchObject(refused(url));
  });

  it('uses another handler of the URL, registered at any time', async () => {
    const model = net(1);
    let artifacts: tf.io.ModelArtifacts = {};
    const save = async (savedArtifacts: tf.io.ModelArtifacts) => {
      artifacts = savedArtifacts;
      return { modelArtifactsInfo: { dateSaved: new Date(0), modelTopologyType: 'JSON' as const } };
    };
    const none = null as unknown as tf.io.IOHandler;
    tf.io.registerSaveRouter((url) => (String(url).startsWith('mine://') ? { save } : none));
    tf.io.registerLoadRouter((url) => (String(url).startsWith('mine://') ? tf.io.fromMemory(artifacts) : none));
    register({});
    await model.save('mine://model');
    const loaded = own(await tfl.loadLayersModel('mine://model'));
    expect(values(loaded)).toEqual(values(model));
  });

  it('uses a custom fetch', async () => {
    const fetchFunc = async () => ({ ok: false, status: 418, url: 'there' }) as Response;
    const loading = tfl.loadLayersModel('file:///model.json', { fetchFunc: fetchFunc as never });
    await expect(loading).rejects.toMatchObject({ cause: { message: expect.stringMatching('418') } });
  });
});
