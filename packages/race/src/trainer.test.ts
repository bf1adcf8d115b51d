import { activate } from '@ghl/backend-wasm';
import { chain, gradientDescent, scaleBy } from '@ghl/core';
import { glyphs, type ImageSet } from '@ghl/datasets';
import type { Assignment } from '@ghl/learner';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { buildNetwork } from './build.js';
import { clock } from './clock.fixture.js';
import type { RunEvent } from './events.js';
import { assignmentOf } from './recipe.js';
import { RunRecord } from './run-record.js';
import { MemoryStorage } from './storage.js';
import { type Phase, type Run, train } from './trainer.js';

const NETWORK = 'fasthebb-small';
const BATCH = 4;
const EPOCHS = 2;
/** 25 steps per epoch: windows of events end within it, and the last one is short. */
const TRAIN = 98;

let data: ImageSet;

beforeAll(async () => {
  await activate({ threads: 1 });
  data = await glyphs({ trainSize: TRAIN, validationSize: 12, testSize: 20 });
});

const newRecord = () => new RunRecord(new MemoryStorage());

/** Trains as a fresh process would: with a new model and optimizer, from any checkpoint in the record. */
async function once(
  record: RunRecord,
  assignment: Assignment,
  { epochs = EPOCHS, batch = BATCH, ...options }: Partial<Run & Phase> = {},
) {
  const model = buildNetwork(NETWORK, data, 0);
  try {
    const phases = [{ assignment, epochs, batch }] as const;
    return await train({ model, phases, data, seed: 0, record, clock, backend: 'wasm', ...options });
  } finally {
    model.dispose();
  }
}

const recipe = (name: string) => assignmentOf({ name }, NETWORK, EPOCHS * Math.ceil(TRAIN / BATCH));

/** Events without their times, and without those of a resumption. */
const curve = (events: readonly RunEvent[]) =>
  events.filter(({ type }) => type !== 'resumed').map((event) => ({ ...event, trainMs: 0, evalMs: 0, logMs: 0 }));

class Killed extends Error {}

/** Writes a checkpoint after step `at`, and throws `later` steps after it. */
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

describe('a stopped run', () => {
  it('resumes with other kernels only if inexact', async () => {
    const record = newRecord();
    const began = { variant: 'relaxed-6x8', winograd: true };
    await expect(once(record, recipe('ghl'), { ...killedAfter(3, 1), numerics: began })).rejects.toThrow(Killed);
    const numerics = { ...began, winograd: false };
    await expect(once(record, recipe('ghl'), { numerics })).rejects.toMatchObject({
      code: 'RESUME_INEXACT',
      help: expect.stringContaining('--inexact'),
    });
    await once(record, recipe('ghl'), { numerics, inexact: true, backend: 'other' });
    expect(await record.readResult()).toMatchObject({ epochs: EPOCHS });
    const resumed = (await record.readEvents()).filter(({ type }) => type === 'resumed');
    expect(resumed).toEqual([{ type: 'resumed', step: 3, backend: 'other', numerics }]);
  });

  it.each(['ghl', 'localOnly'])('resumes bit for bit, at any step of any epoch, with %s', async (name) => {
    const straight = newRecord();
    const expected = await once(straight, recipe(name));
    const stopped = newRecord();
    // In a window, at the end of one, and in the second epoch; each time, the steps after the checkpoint are lost.
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

  it('writes its result if only the result is missing', async () => {
    const storage = new MemoryStorage();
    const record = new RunRecord(storage);
    const first = await once(record, recipe('ghl'));
    await storage.remove('done.json');
    expect((await once(record, recipe('ghl'))).weights).toBe(first.weights);
  });
});

describe('the speed of a short run', () => {
  it('is that of the steps without a measurement, which are every other one', async () => {
    const { imagesPerSecond } = await once(newRecord(), recipe('ghl'), { epochs: 1, batch: 49 });
    expect(imagesPerSecond).toBeGreaterThan(0);
  });

  it('is null, not 0, if no step was timed', async () => {
    const { imagesPerSecond } = await once(newRecord(), recipe('ghl'), { epochs: 1, batch: 98 });
    expect(imagesPerSecond).toBeNull();
  });
});

describe('the events of a run', () => {
  it('count every image once per epoch, and have the loss of a plain loop', async () => {
    const record = newRecord();
    const step = 0.05;
    await once(record, { '*': chain(gradientDescent(), scaleBy(step)) }, { epochs: 1 });
    const events = await record.readEvents();
    const windows = events.filter((event) => event.type === 'steps');
    expect(windows.map(({ step }) => step)).toEqual([10, 20, 25]);
    expect(windows.reduce((sum, { images }) => sum + images, 0)).toBe(TRAIN);
    expect(windows[0]?.learningRate).toEqual({ '*': step });

    // The first step's loss, from the model alone: 25 such steps are one window apart.
    const [end] = events.filter((event) => event.type === 'epoch');
    const mean = windows.reduce((sum, { loss, images }) => sum + (loss ?? Number.NaN) * images, 0) / TRAIN;
    expect(end?.train?.loss).toBeCloseTo(mean, 10);
    const aligned = events.filter((event) => event.type === 'alignment');
    expect(aligned.map(({ step }) => step)).toEqual([1, 8, 15, 22]);
    for (const { layers } of aligned) expect(layers.conv2?.alignment).toBeCloseTo(1, 4);
  });
});

describe('training that is not finite', () => {
  it('stops with the layer and the cause, and keeps the last checkpoint', async () => {
    const record = newRecord();
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
    await expect(once(record, wild, { checkpointDue: due })).rejects.toMatchObject({ code: 'NON_FINITE_STEP' });
    const last = (await record.readEvents()).at(-1);
    expect(last).toMatchObject({ type: 'failed', code: 'NON_FINITE_STEP' });

    // With small steps, it resumes from step 11.
    const events: RunEvent[] = [];
    await once(record, { '*': chain(gradientDescent(), scaleBy(1e-3)) });
    events.push(...(await record.readEvents()));
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

  it('has no result if the last step diverges, even after it resumes', async () => {
    const record = newRecord();
    for (let attempt = 0; attempt < 2; attempt++) {
      await expect(once(record, leap(STEPS - 1, STEPS - 1))).rejects.toMatchObject({
        code: 'NON_FINITE_LOSS',
        message: expect.stringMatching(/on the test images and .* on the validation images after the last epoch/),
      });
      expect(await record.readResult()).toBeNull();
      const events = await record.readEvents();
      expect(events.at(-1)).toMatchObject({ type: 'failed', code: 'NON_FINITE_LOSS', step: STEPS });
      const [, end] = events.filter((event) => event.type === 'epoch');
      expect(end?.test?.loss).toBeNaN();
    }
  });

  it('stops if any earlier step diverges', async () => {
    for (const at of [0, 1, 9, 24, 25, STEPS - 2]) {
      const record = newRecord();
      await expect(once(record, leap(at, at))).rejects.toMatchObject({
        code: expect.stringMatching(/^NON_FINITE_(STEP|LOSS)$/),
      });
      expect((await record.readEvents()).at(-1)?.type).toBe('failed');
    }
  });
});

it('records an error of any kind', async () => {
  for (const [thrown, message] of [
    [new TypeError('x is undefined'), 'x is undefined'],
    ['a string', 'a string'],
    [undefined, 'undefined'],
  ] as const) {
    const record = newRecord();
    const due = () => {
      throw thrown;
    };
    const failed = await once(record, recipe('backprop'), { checkpointDue: due }).then(
      () => 'not at all',
      (error: unknown) => error,
    );
    expect(failed).toBe(thrown);
    const last = (await record.readEvents()).at(-1);
    expect(last).toMatchObject({ type: 'failed', code: 'UNEXPECTED', message, step: 1 });
  }
});

it('rewards each example that is classified correctly', async () => {
  const record = newRecord();
  const custom = {
    rule: 'swta',
    ruleOptions: {},
    modulator: 'scalar',
    modulatorOptions: { per: 'example' },
    raw: false,
  };
  const assignment = assignmentOf({ name: 'swta+scalar', custom }, NETWORK, 50);
  const before = tf.memory().numTensors;
  await once(record, assignment, { epochs: 1 });
  expect(tf.memory().numTensors).toBe(before);
  expect(await record.readResult()).not.toBeNull();
});
