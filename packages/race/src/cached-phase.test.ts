/** Runs with a phase that trains on the activations of its frozen layers, in comparison with training on images. */
import { activate } from '@ghl/backend-wasm';
import { chain, gradientDescent, local, maxAbs, momentum, scaleBy, sgd } from '@ghl/core';
import { glyphs, type ImageSet } from '@ghl/datasets';
import { plasticOptimizer } from '@ghl/learner';
import { bcm } from '@ghl/rule-bcm';
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import { beforeAll, describe, expect, it } from 'vitest';
import { type CacheLimits, cacheActivations } from './activation-cache.js';
import { buildRun } from './build.js';
import { clock } from './clock.fixture.js';
import type { RunEvent } from './events.js';
import type { RacePlan } from './plan.js';
import { ReadableStorage } from './readable-storage.fixture.js';
import { planRecipe } from './recipe.js';
import { RunRecord } from './run-record.js';
import { smallNetwork } from './small-network.fixture.js';
import { type AppendLog, MemoryStorage, type RunStorage } from './storage.js';
import { type Phase, type Progress, type Run, train } from './trainer.js';

/** Steps per epoch: 5 of the first phase, 3 of the second, whose last batch is smaller. */
const TRAIN = 20;

let data: ImageSet;

beforeAll(async () => {
  await activate({ threads: 1 });
  data = await glyphs({ trainSize: TRAIN, validationSize: 10, testSize: 10 });
});

/** Local rules, then the classifier with dropout, then the whole network. */
const PHASES: readonly [Phase, Phase, Phase] = [
  { assignment: { 'conv*': chain(local(maxAbs(bcm())), scaleBy(1e-2)), classifier: null }, epochs: 1, batch: 4 },
  {
    assignment: { 'conv*': null, 'bn*': null, classifier: chain(gradientDescent(), momentum(), scaleBy(1e-1)) },
    epochs: 3,
    batch: 8,
  },
  { assignment: { '*': sgd(1e-2) }, epochs: 1, batch: 8 },
];

const none: CacheLimits = { memory: 0, storage: 0 };
const inMemory: CacheLimits = { memory: 1e9, storage: 0 };
const inStorage: CacheLimits = { memory: 0, storage: 1e9 };

async function once(storage: RunStorage, options: Partial<Run> = {}) {
  const model = smallNetwork(data);
  const backend = tf.getBackend();
  const record = new RunRecord(storage);
  try {
    const result = await train({ model, phases: PHASES, data, seed: 0, record, clock, backend, ...options });
    const events = (await record.readEvents()).filter(({ type }) => type !== 'resumed');
    return { ...withoutTimes(result), events: events.map(withoutTimes) };
  } finally {
    model.dispose();
  }
}

const withoutTimes = <T extends object>(record: T) => ({
  ...record,
  trainMs: 0,
  evalMs: 0,
  logMs: 0,
  imagesPerSecond: 0,
});

/** Fails at an append to the activations. */
class FullStorage extends ReadableStorage {
  appends = 0;

  override async open(name: string): Promise<AppendLog> {
    const log = await super.open(name);
    const append = async (bytes: Uint8Array) => {
      if (name === 'activations.bin' && ++this.appends === 2) throw new Error('killed');
      await log.append(bytes);
    };
    return Object.defineProperties({ ...log, append }, { length: { get: () => log.length } });
  }
}

describe.each(['wasm', 'cpu'])('a phase with frozen layers, on %s', (backend) => {
  let expected: Awaited<ReturnType<typeof once>>;

  beforeAll(async () => {
    await tf.setBackend(backend);
    expected = await once(new MemoryStorage(), { cache: none });
  });

  it('has the same weights and events with its activations in memory or in the storage', async () => {
    const tensors = tf.memory().numTensors;
    for (const cache of [undefined, inMemory, inStorage]) {
      const storage = new ReadableStorage();
      expect(await once(storage, { cache })).toEqual(expected);
      expect(storage.reads > 0).toBe(cache === inStorage);
      expect(await storage.read('activations.bin')).toBeNull();
    }
    expect(tf.memory().numTensors).toBe(tensors);
  });
});

/** Stops a run at one call of `checkpointDue` after a checkpoint at another, and resumes it. */
async function stopped(before: CacheLimits, after: CacheLimits, checkpointAt: number, killedAt: number) {
  const storage = new ReadableStorage();
  let calls = 0;
  const checkpointDue = () => {
    calls += 1;
    if (calls === killedAt) throw new Error('killed');
    return calls === checkpointAt;
  };
  await expect(once(storage, { cache: before, checkpointDue })).rejects.toThrow('killed');
  const resumed = await once(storage, { cache: after });
  expect(await storage.read('activations.bin')).toBeNull();
  return resumed;
}

describe('a stopped run', () => {
  let expected: Awaited<ReturnType<typeof once>>;

  beforeAll(async () => {
    await tf.setBackend('wasm');
    expected = await once(new MemoryStorage(), { cache: none });
  });

  // The calls of an uninterrupted run: 4 in the epoch of the first phase, 2 in each epoch of the others.
  it.each([
    ['in the first phase', 2, 4],
    ['before the first checkpoint of the second phase', 4, 5],
    ['in the second phase', 5, 6],
    ['at the end of an epoch', 6, 7],
    ['in the last epoch of the second phase', 9, 10],
    ['at the end of the second phase', 10, 11],
  ])('resumes bit for bit %s', async (_, checkpointAt, killedAt) => {
    expect(await stopped(inStorage, inStorage, checkpointAt, killedAt)).toEqual(expected);
  });

  it.each([
    ['in memory', inMemory, inMemory],
    ['only before', inStorage, none],
    ['only after', none, inMemory],
  ])('resumes bit for bit with cached activations %s', async (_, before, after) => {
    expect(await stopped(before, after, 5, 6)).toEqual(expected);
  });

  it('resumes bit for bit after it stopped while it computed activations', async () => {
    const storage = new FullStorage();
    await expect(once(storage, { cache: inStorage })).rejects.toThrow('killed');
    expect((await storage.read('activations.bin'))?.length).toBeGreaterThan(0);
    expect(withoutFailure(await once(storage, { cache: inStorage }))).toEqual(expected);
  });

  it('reads the activations that it stored before', async () => {
    const images: number[] = [];
    const onProgress = ({ cached }: Progress) => {
      if (cached) images.push(cached.images);
    };
    let now = 0;
    const slow = { ...clock, now: () => (now += 1000) };
    const storage = new ReadableStorage();
    let calls = 0;
    const checkpointDue = () => {
      calls += 1;
      if (calls === 6) throw new Error('killed');
      return calls === 5;
    };
    await expect(once(storage, { cache: inStorage, clock: slow, checkpointDue, onProgress })).rejects.toThrow('killed');
    expect(images).toEqual([20, 30, 40]);
    await once(storage, { cache: inStorage, clock: slow, onProgress });
    expect(images).toEqual([20, 30, 40]);
  });
});

const withoutFailure = <T extends { events: readonly Pick<RunEvent, 'type'>[] }>(run: T) => ({
  ...run,
  events: run.events.filter(({ type }) => type !== 'failed'),
});

it('a phase on cached activations runs each convolution once per image, and no convolution in its steps', async () => {
  await tf.setBackend('cpu');
  const convolutions = async (epochs: number, cache: CacheLimits) => {
    const phases = [{ ...PHASES[1], epochs }] as const;
    const { kernelNames, kernels } = await tf.profile(async () => {
      await once(new MemoryStorage(), { phases, cache });
      return [];
    });
    expect(kernelNames.length).toBeGreaterThan(0);
    return kernels.filter(({ name }) => /conv2d/i.test(name)).length;
  };
  expect(await convolutions(4, inMemory)).toBe(await convolutions(2, inMemory));
  expect(await convolutions(4, none)).toBeGreaterThan(await convolutions(2, none));
});

it('a phase of one epoch computes no activations beforehand', async () => {
  await tf.setBackend('cpu');
  const phases = [{ ...PHASES[1], epochs: 1 }] as const;
  const storage = new ReadableStorage();
  await once(storage, { phases, cache: inStorage });
  expect(storage.reads).toBe(0);
});

it.each([
  ['softHebb', 'deephebb-small', 'flatten'],
  ['hpcaFastHebb', 'fasthebb-small', 'activation5'],
])('%s trains the classifier of %s on the activations of %s, on wasm', async (recipe, network, layer) => {
  await tf.setBackend('wasm');
  const plan = { schemaVersion: 1, network, dataset: { trainSize: TRAIN }, seeds: 1 } as RacePlan;
  const { model, phases } = buildRun(plan, { recipe: planRecipe(recipe), seed: 0 }, data);
  const caches = [];
  for (const { assignment, batch } of phases) {
    const optimizer = plasticOptimizer(model, assignment);
    const record = new RunRecord(new MemoryStorage());
    const cache = await cacheActivations({ optimizer, data, batch, record, limits: inMemory, numerics: {} });
    caches.push(cache?.layer ?? null);
    await cache?.close();
    optimizer.dispose();
  }
  model.dispose();
  expect(caches).toEqual([null, layer]);
});
