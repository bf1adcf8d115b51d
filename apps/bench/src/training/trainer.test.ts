import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { activate } from '@ghl/backend-wasm';
import { chain, gradientDescent, scaleBy } from '@ghl/core';
import { glyphs, type ImageSet } from '@ghl/datasets';
import { type Assignment, plasticOptimizer } from '@ghl/learner';
import * as tf from '@tensorflow/tfjs-core';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type RunEvent, RunFolder } from '../run-store.js';
import { assignmentOf } from './recipe.js';
import { type Run, train } from './trainer.js';
import { buildNetwork } from './workload.js';

const NETWORK = 'fasthebb-small';
const BATCH = 4;
const EPOCHS = 2;
/** 25 steps an epoch: windows of events end within it, and one at its end is short. */
const TRAIN = 98;

let data: ImageSet;
let race: string;

beforeAll(async () => {
  await activate({ threads: 1 });
  data = await glyphs({ trainSize: TRAIN, validationSize: 12, testSize: 20 });
});

beforeEach(async () => {
  race = await mkdtemp(join(tmpdir(), 'bench-'));
});

afterEach(() => rm(race, { recursive: true, force: true }));

/** Trains as a fresh process would: a new model and optimizer, whatever the folder holds. */
async function once(folder: RunFolder, assignment: Assignment, options: Partial<Run> = {}) {
  const model = buildNetwork(NETWORK, data, 0);
  const optimizer = plasticOptimizer(model, assignment);
  try {
    const backend = 'wasm';
    return await train({ model, optimizer, data, seed: 0, epochs: EPOCHS, batch: BATCH, folder, backend, ...options });
  } finally {
    optimizer.dispose();
    model.dispose();
  }
}

const recipe = (name: string) => assignmentOf({ name }, NETWORK, EPOCHS * Math.ceil(TRAIN / BATCH));

/** Events without what the clock says, and without the mark of a resumption. */
const curve = (events: readonly RunEvent[]) =>
  events.filter(({ type }) => type !== 'resumed').map((event) => ({ ...event, trainMs: 0, evalMs: 0, logMs: 0 }));

class Killed extends Error {}

/** Writes a checkpoint after step `at`, and stops training `later` steps after it, events and all. */
function killedAfter(at: number, later: number): Pick<Run, 'checkpointDue'> {
  let calls = 0;
  return {
    checkpointDue: () => {
      calls += 1;
      if (calls === at + later) throw new Killed();
      return calls === at;
    },
  };
}

describe('a run that was stopped', () => {
  it('goes on with other kernels only if told so', async () => {
    const folder = new RunFolder(race, 'stopped', 0);
    const began = { variant: 'relaxed-6x8', winograd: true };
    await expect(once(folder, recipe('ghl'), { ...killedAfter(3, 1), numerics: began })).rejects.toThrow(Killed);
    const numerics = { ...began, winograd: false };
    await expect(once(folder, recipe('ghl'), { numerics })).rejects.toMatchObject({
      code: 'RESUME_INEXACT',
      help: expect.stringContaining('--inexact'),
    });
    await once(folder, recipe('ghl'), { numerics, inexact: true, backend: 'other' });
    expect(await folder.readResult()).toMatchObject({ epochs: EPOCHS });
    const resumed = (await folder.readEvents()).filter(({ type }) => type === 'resumed');
    expect(resumed).toEqual([{ type: 'resumed', step: 3, backend: 'other', numerics }]);
  });

  it.each(['ghl', 'localOnly'])('goes on bit for bit, at any step of any epoch, with %s', async (name) => {
    const straight = new RunFolder(race, 'straight', 0);
    const expected = await once(straight, recipe(name));
    const stopped = new RunFolder(race, 'stopped', 0);
    // In a window, at the end of one, and in the second epoch, each time losing the steps after the checkpoint.
    for (const [at, later] of [
      [3, 4],
      [7, 9],
      [20, 2],
      [5, 10],
    ] as const) {
      await expect(once(stopped, recipe(name), killedAfter(at, later))).rejects.toThrow(Killed);
    }
    const result = await once(stopped, recipe(name));

    expect(result.weights).toBe(expected.weights);
    expect(curve(await stopped.readEvents())).toEqual(curve(await straight.readEvents()));
    expect((await stopped.readEvents()).filter(({ type }) => type === 'resumed')).toHaveLength(4);
    expect({ ...result, trainMs: 0, evalMs: 0, logMs: 0, imagesPerSecond: 0 }).toEqual({
      ...expected,
      trainMs: 0,
      evalMs: 0,
      logMs: 0,
      imagesPerSecond: 0,
    });
  });

  it('has its result, if only that was missing', async () => {
    const folder = new RunFolder(race, 'ghl', 0);
    const first = await once(folder, recipe('ghl'));
    await rm(join(folder.path, 'done.json'));
    expect((await once(folder, recipe('ghl'))).weights).toBe(first.weights);
  });
});

describe('the speed of a short run', () => {
  it('is that of steps which are not measured, and every other one is not', async () => {
    const { imagesPerSecond } = await once(new RunFolder(race, 'ghl', 0), recipe('ghl'), { epochs: 1, batch: 49 });
    expect(imagesPerSecond).toBeGreaterThan(0);
  });

  it('is unknown, not 0, where no step was timed', async () => {
    const { imagesPerSecond } = await once(new RunFolder(race, 'ghl', 0), recipe('ghl'), { epochs: 1, batch: 98 });
    expect(imagesPerSecond).toBeNull();
  });
});

describe('the events of a run', () => {
  it('count every image once an epoch, and have the loss of a plain loop', async () => {
    const folder = new RunFolder(race, 'backprop', 0);
    const step = 0.05;
    await once(folder, { '*': chain(gradientDescent(), scaleBy(step)) }, { epochs: 1 });
    const events = await folder.readEvents();
    const windows = events.filter((event) => event.type === 'steps');
    expect(windows.map(({ step }) => step)).toEqual([10, 20, 25]);
    expect(windows.reduce((sum, { images }) => sum + images, 0)).toBe(TRAIN);
    expect(windows[0]?.learningRate).toEqual({ '*': step });

    // The first step's loss, from the model alone: 25 such steps are one window apart.
    const [end] = events.filter((event) => event.type === 'epoch');
    const mean = windows.reduce((sum, { loss, images }) => sum + loss * images, 0) / TRAIN;
    expect(end?.train.loss).toBeCloseTo(mean, 10);
    const aligned = events.filter((event) => event.type === 'alignment');
    expect(aligned.map(({ step }) => step)).toEqual([1, 8, 15, 22]);
    for (const { layers } of aligned) expect(layers.conv2?.alignment).toBeCloseTo(1, 4);
  });
});

describe('training that is not finite', () => {
  it('stops with the layer and the cause, and leaves the last checkpoint', async () => {
    const folder = new RunFolder(race, 'wild', 0);
    const wild = {
      '*': chain(
        gradientDescent(),
        scaleBy((step: number) => (step < 12 ? 1e-3 : 1e39)), // infinite in float32
      ),
    };
    let checkpoints = 0;
    const due = () => {
      checkpoints += 1;
      return checkpoints === 11;
    };
    await expect(once(folder, wild, { checkpointDue: due })).rejects.toMatchObject({ code: 'NON_FINITE_STEP' });
    const last = (await folder.readEvents()).at(-1);
    expect(last).toMatchObject({ type: 'failed', code: 'NON_FINITE_STEP' });

    // Tamed, it goes on from step 11.
    const events: RunEvent[] = [];
    await once(folder, { '*': chain(gradientDescent(), scaleBy(1e-3)) });
    events.push(...(await folder.readEvents()));
    expect(events.find(({ type }) => type === 'resumed')).toEqual({
      type: 'resumed',
      step: 11,
      backend: 'wasm',
      numerics: {},
    });
    expect(events.some(({ type }) => type === 'failed')).toBe(false);
  });
});

describe('training that ends in numbers that are not finite', () => {
  const STEPS = EPOCHS * Math.ceil(TRAIN / BATCH);
  /** Descends, with steps from `from` to `to` so large that the weights, still finite, give no finite output. */
  const leap = (from: number, to: number) => ({
    '*': chain(
      gradientDescent(),
      scaleBy((step: number) => (step >= from && step <= to ? 1e35 : 1e-3)),
    ),
  });

  it('has no result where the last step made it so, however often it resumes', async () => {
    const folder = new RunFolder(race, 'last', 0);
    for (let attempt = 0; attempt < 2; attempt++) {
      await expect(once(folder, leap(STEPS - 1, STEPS - 1))).rejects.toMatchObject({
        code: 'NON_FINITE_LOSS',
        message: expect.stringMatching(/on the test images and .* on the validation images after the last epoch/),
      });
      expect(await folder.readResult()).toBeNull();
      const events = await folder.readEvents();
      expect(events.at(-1)).toMatchObject({ type: 'failed', code: 'NON_FINITE_LOSS', step: STEPS });
      const [, end] = events.filter((event) => event.type === 'epoch');
      expect(end?.test.loss).toBeNaN();
    }
  });

  it('stops where any earlier step made it so', async () => {
    for (const at of [0, 1, 9, 24, 25, STEPS - 2]) {
      const folder = new RunFolder(race, `at ${at}`, 0);
      await expect(once(folder, leap(at, at))).rejects.toMatchObject({
        code: expect.stringMatching(/^NON_FINITE_(STEP|LOSS)$/),
      });
      expect((await folder.readEvents()).at(-1)?.type).toBe('failed');
    }
  });
});

it('records an error of any kind, thrown by whatever fails', async () => {
  for (const [thrown, message] of [
    [new TypeError('x is undefined'), 'x is undefined'],
    ['a string', 'a string'],
    [undefined, 'undefined'],
  ] as const) {
    const folder = new RunFolder(race, `thrown ${message}`, 0);
    const due = () => {
      throw thrown;
    };
    const failed = await once(folder, recipe('backprop'), { checkpointDue: due }).then(
      () => 'not at all',
      (error: unknown) => error,
    );
    expect(failed).toBe(thrown);
    const last = (await folder.readEvents()).at(-1);
    expect(last).toMatchObject({ type: 'failed', code: 'UNEXPECTED', message, step: 1 });
  }
});

it('rewards each example that is classified right', async () => {
  const folder = new RunFolder(race, 'reward', 0);
  const custom = {
    rule: 'swta',
    ruleOptions: {},
    modulator: 'scalar',
    modulatorOptions: { per: 'example' },
    raw: false,
  };
  const assignment = assignmentOf({ name: 'swta+scalar', custom }, NETWORK, 50);
  const before = tf.memory().numTensors;
  await once(folder, assignment, { epochs: 1 });
  expect(tf.memory().numTensors).toBe(before);
  expect(await folder.readResult()).not.toBeNull();
});
