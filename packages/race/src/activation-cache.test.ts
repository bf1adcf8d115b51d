import { activate } from '@ghl/backend-wasm';
import { chain, maxAbs, scaleBy, sgd, threeFactor } from '@ghl/core';
import { statelessModulator } from '@ghl/core/plugin';
import { glyphs, type ImageSet } from '@ghl/datasets';
import { type Assignment, plasticOptimizer } from '@ghl/learner';
import { bcm } from '@ghl/rule-bcm';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import '@tensorflow/tfjs-backend-cpu';
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { type ActivationCache, type CacheLimits, type CacheRequest, cacheActivations } from './activation-cache.js';
import { weightsChecksum } from './checkpoint.js';
import { EVALUATION_BATCH, evaluate } from './evaluation.js';
import { ReadableStorage } from './readable-storage.fixture.js';
import { RunRecord } from './run-record.js';
import { smallNetwork } from './small-network.fixture.js';
import { trainingStep } from './step.js';
import { MemoryStorage } from './storage.js';

/** Not a multiple of the batch: the last batch is smaller. */
const [TRAIN, BATCH] = [42, 8];

let data: ImageSet;

beforeAll(async () => {
  await activate({ threads: 1 });
  await tf.setBackend('cpu');
  data = await glyphs({ trainSize: TRAIN, validationSize: 10, testSize: EVALUATION_BATCH + 10 });
});

function network(): tfl.LayersModel {
  const model = smallNetwork(data);
  onTestFinished(() => {
    model.dispose();
  });
  return model;
}

const head: Assignment = { bn1: null, conv1: null, '*': sgd(0.1) };
const inMemory: CacheLimits = { memory: 1e9, storage: 0 };
const inStorage: CacheLimits = { memory: 0, storage: 1e9 };

function phase(assignment: Assignment = head, model = network()) {
  const optimizer = plasticOptimizer(model, assignment);
  onTestFinished(() => optimizer.dispose());
  return { model, optimizer };
}

async function cacheOf(
  { optimizer }: Pick<CacheRequest, 'optimizer'>,
  options: Partial<CacheRequest> = {},
): Promise<ActivationCache | null> {
  const record = new RunRecord(new ReadableStorage());
  const cache = await cacheActivations({
    optimizer,
    data,
    batch: BATCH,
    record,
    limits: inMemory,
    numerics: {},
    ...options,
  });
  if (cache !== null) onTestFinished(() => cache.close());
  return cache;
}

/** Trains as the trainer does. Returns the loss of each step, the scores of each epoch, and the weights. */
async function trained(
  { model, optimizer }: ReturnType<typeof phase>,
  cache: ActivationCache | null,
  { epochs = 2, startBatch = 0 } = {},
) {
  const source = cache ?? { model, data };
  const numbers: unknown[] = [];
  for (let startEpoch = 0; startEpoch < epochs; startEpoch++) {
    const options = { batchSize: BATCH, seed: 3, startEpoch, startBatch: startEpoch === 0 ? startBatch : 0 };
    const batches = await source.data.train.batches(options).iterator();
    for (let next = await batches.next(); !next.done; next = await batches.next()) {
      const { xs, ys } = next.value;
      const { loss, correct } = trainingStep(source.model, optimizer, xs, ys);
      numbers.push(ys.shape[0], loss.dataSync()[0], correct.dataSync()[0]);
      tf.dispose([xs, ys, loss, correct]);
    }
    for (const split of [source.data.validation, source.data.test]) {
      numbers.push(await evaluate(source.model, split, EVALUATION_BATCH));
    }
  }
  return { numbers, weights: await weightsChecksum(model) };
}

describe.each(['cpu', 'wasm'])('training on cached activations, on %s', (backend) => {
  beforeAll(async () => {
    await tf.setBackend(backend);
  });

  it.each([
    ['memory', inMemory],
    ['storage', inStorage],
  ])('computes the same bits as training on images, from %s', async (place, limits) => {
    const expected = await trained(phase(), null);
    const cached = phase();
    const cache = await cacheOf(cached, { limits });
    expect(cache).toMatchObject({ place, layer: 'flatten', bytes: 4 * (TRAIN + 10 + EVALUATION_BATCH + 10) * 36 });
    expect(await trained(cached, cache)).toEqual(expected);
    expect(expected.numbers.slice(0, 3)).toHaveLength(3);
  });

  it('runs no convolution in a step or an evaluation', async () => {
    const kernels = async (cache: ActivationCache | null, of: ReturnType<typeof phase>) => {
      const { kernelNames } = await tf.profile(async () => {
        await trained(of, cache, { epochs: 1 });
        return tf.scalar(0).dispose() as never;
      });
      return kernelNames.filter((name) => /conv|pool/i.test(name));
    };
    const cached = phase();
    expect(await kernels(await cacheOf(cached), cached)).toEqual([]);
    expect(await kernels(null, phase())).not.toEqual([]);
  });
});

/** Frozen, and different for an example at another place in its batch: as the rounding of some backends. */
class Placed extends tfl.layers.Layer {
  static className = 'Placed';
  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    return tf.tidy(() => {
      const x = (Array.isArray(inputs) ? inputs[0] : inputs) as tf.Tensor2D;
      return tf.add(x, tf.mul(1e-7, tf.reshape(this.offsets(x.shape[0]), [-1, 1])));
    });
  }
  offsets(size: number): tf.Tensor {
    return tf.range(0, size);
  }
}

/** Different in a batch of another size. */
class Sized extends Placed {
  static override className = 'Sized';
  override offsets(size: number): tf.Tensor {
    return tf.fill([size], size);
  }
}

/** Different under a gradient tape. */
class Taped extends Placed {
  static override className = 'Taped';
  override offsets(size: number): tf.Tensor {
    return tf.fill([size], (tf.engine() as unknown as { state: { gradientDepth: number } }).state.gradientDepth);
  }
}

it('rejects augmentation, which changes the images in each epoch', async () => {
  await tf.setBackend('cpu');
  const cache = await cacheOf(phase());
  expect(() => cache?.data.train.batches({ batchSize: BATCH, augment: true })).toThrow(
    expect.objectContaining({ code: 'BAD_VALUE' }),
  );
});

describe('activations are not cached', () => {
  beforeAll(async () => {
    await tf.setBackend('cpu');
  });

  it('if no layer is frozen', async () => {
    expect(await cacheOf(phase({ '*': sgd(0.1) }))).toBeNull();
  });

  it('if a modulator reads the images', async () => {
    const reads = statelessModulator({ name: 'readsInput', args: [] }, ['input'], (eligibility) => eligibility);
    const step = chain(threeFactor(maxAbs(bcm()), reads), scaleBy(0.1));
    const { optimizer } = phase({ ...head, classifier: step });
    expect(optimizer.frozenPrefix()).not.toBeNull();
    expect(await cacheOf({ optimizer })).toBeNull();
  });

  it('if batch norm before the frozen layer is in training mode', async () => {
    expect(await cacheOf(phase({ conv1: null, '*': sgd(0.1) }))).toBeNull();
  });

  it('if they exceed both limits, or the storage reads only whole records', async () => {
    expect(await cacheOf(phase(), { limits: { memory: 1000, storage: 1000 } })).toBeNull();
    const storage = new MemoryStorage();
    expect(await cacheOf(phase(), { limits: inStorage, record: new RunRecord(storage) })).toBeNull();
    expect(await storage.read('activations.bin')).toBeNull();
  });

  it.each([
    ['the place of an image in its batch', Placed],
    ['the size of the batch', Sized],
    ['the gradient tape', Taped],
  ])('if they depend on %s', async (_, layer) => {
    const model = tfl.sequential({
      layers: [
        tfl.layers.flatten({ inputShape: [...data.shape] }),
        tfl.layers.dense({ name: 'first', units: 2 }),
        new layer({ name: 'layer' }),
        tfl.layers.dense({ units: data.classes.length, activation: 'softmax' }),
      ],
    });
    onTestFinished(() => {
      model.dispose();
    });
    expect(await cacheOf(phase({ first: null, '*': sgd(0.1) }, model))).toBeNull();
  });
});

describe('activations in a storage', () => {
  beforeAll(async () => {
    await tf.setBackend('cpu');
  });

  /** Counts the images that the prefix processes to fill the cache. */
  async function filled(storage: ReadableStorage, options: Partial<CacheRequest>, remove: boolean, model = network()) {
    let images = 0;
    const onImages = async (count: number) => {
      images += count;
    };
    const { optimizer } = phase(head, model);
    const record = new RunRecord(storage);
    const request = { optimizer, data, batch: BATCH, record, limits: inStorage, numerics: {}, onImages };
    const cache = await cacheActivations({ ...request, ...options });
    await cache?.close();
    if (remove) await record.removeActivations();
    return images;
  }

  const ALL = TRAIN + 10 + EVALUATION_BATCH + 10;

  it('are computed once, and again after they are deleted', async () => {
    const storage = new ReadableStorage();
    expect(await filled(storage, {}, false)).toBe(ALL);
    expect(await filled(storage, {}, true)).toBe(0);
    expect(await storage.read('activations.bin')).toBeNull();
    expect(await storage.read('activations.json')).toBeNull();
    expect(await filled(storage, {}, true)).toBe(ALL);
  });

  it('are computed again if the process stopped while it computed them', async () => {
    const storage = new ReadableStorage();
    const stop = async () => {
      throw new Error('killed');
    };
    await expect(filled(storage, { onImages: stop }, false)).rejects.toThrow('killed');
    expect(await filled(storage, {}, true)).toBe(ALL);
  });

  it('are computed again for other weights, images or kernels', async () => {
    const storage = new ReadableStorage();
    expect(await filled(storage, {}, false)).toBe(ALL);
    expect(await filled(storage, { numerics: { winograd: true } }, false)).toBe(ALL);
    const other = network();
    tf.tidy(() => {
      other.getLayer('conv1').weights[0]?.write(tf.zeros([5, 5, data.shape[2], 4]));
    });
    expect(await filled(storage, {}, false, other)).toBe(ALL);
    expect(await filled(storage, { data: { ...data, checksum: 'other' } }, true)).toBe(ALL);
  });
});
