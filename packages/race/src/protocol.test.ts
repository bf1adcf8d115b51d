/** Runs of several phases: order, records, resumption, plans. */
import { activate } from '@ghl/backend-wasm';
import { chain, gradientDescent, type Json, local, maxAbs, momentum, type Plasticity, scaleBy } from '@ghl/core';
import { glyphs, type ImageSet } from '@ghl/datasets';
import { bcm } from '@ghl/rule-bcm';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { buildNetwork, buildRun } from './build.js';
import { clock } from './clock.fixture.js';
import type { RunEvent } from './events.js';
import { learningRates } from './learning-rates.js';
import { type PlannedRecipe, phasesText, planSchema, type RacePlan } from './plan.js';
import { assignmentOf, checkRecipe, planRecipe } from './recipe.js';
import { RunRecord } from './run-record.js';
import { MemoryStorage } from './storage.js';
import { summarise } from './summary.js';
import { type Phase, type Progress, type Run, train } from './trainer.js';

const NETWORK = 'deephebb-small';
const TRAIN = 24;

let data: ImageSet;

beforeAll(async () => {
  await activate({ threads: 1 });
  data = await glyphs({ trainSize: TRAIN, validationSize: 10, testSize: 10 });
});

/** A local phase whose rule has a state, then a classifier with momentum: 2 × 6 steps, then 2 × 3 steps. */
const PHASES: readonly [Phase, Phase] = [
  {
    assignment: {
      'conv*': chain(
        local(maxAbs(bcm())),
        scaleBy((step: number) => 1e-2 / (1 + step)),
      ),
      classifier: null,
    },
    epochs: 2,
    batch: 4,
  },
  {
    assignment: {
      'conv*': null,
      'bn*': null,
      classifier: chain(gradientDescent(), momentum(), scaleBy(1e-2)),
    },
    epochs: 2,
    batch: 8,
    loss: 'meanSquaredError',
  },
];

async function once(record: RunRecord, options: Partial<Run> = {}) {
  const model = buildNetwork(NETWORK, data, 0);
  try {
    return await train({ model, phases: PHASES, data, seed: 0, record, clock, backend: 'wasm', ...options });
  } finally {
    model.dispose();
  }
}

const newRecord = () => new RunRecord(new MemoryStorage());

const withoutTimes = <T extends object>(record: T) => ({
  ...record,
  trainMs: 0,
  evalMs: 0,
  logMs: 0,
  imagesPerSecond: 0,
});

const curve = (events: readonly RunEvent[]) => events.filter(({ type }) => type !== 'resumed').map(withoutTimes);

describe('a run of a local phase and a classifier', () => {
  let record: RunRecord;
  let events: RunEvent[];
  const reports: Progress[] = [];
  const ofType = <T extends RunEvent['type']>(type: T) =>
    events.filter((event): event is Extract<RunEvent, { type: T }> => event.type === type);

  beforeAll(async () => {
    record = newRecord();
    const tensors = tf.memory().numTensors;
    await once(record, { onProgress: (progress) => reports.push(progress) });
    expect(tf.memory().numTensors).toBe(tensors);
    events = await record.readEvents();
  });

  it('has a row for each epoch of all phases, and scores only where a classifier learns', () => {
    const epochs = ofType('epoch');
    expect(epochs.map(({ epoch, step }) => [epoch, step])).toEqual([
      [1, 6],
      [2, 12],
      [3, 15],
      [4, 18],
    ]);
    const scored = { loss: expect.any(Number), accuracy: expect.any(Number) };
    expect(epochs.map(({ train, validation, test }) => ({ train, validation, test }))).toEqual([
      { train: null, validation: null, test: null },
      { train: null, validation: null, test: null },
      { train: scored, validation: scored, test: scored },
      { train: scored, validation: scored, test: scored },
    ]);
    expect(ofType('steps').map(({ images, loss }) => [images, loss !== undefined])).toEqual([
      [24, false],
      [24, false],
      [24, true],
      [24, true],
    ]);
    expect(ofType('alignment').every(({ step }) => step > 12)).toBe(true);
  });

  it('counts the steps of each optimizer from 0', () => {
    // A plain function has no step size in a spec; the second phase has a number.
    expect(ofType('steps').map(({ learningRate }) => learningRate)).toEqual([
      {},
      {},
      { classifier: 1e-2 },
      { classifier: 1e-2 },
    ]);
  });

  it('uses the loss of the phase', () => {
    // Of ten classes, the mean square is below 0.2 and the cross-entropy of a beginner near 2.3.
    for (const { test } of ofType('epoch').slice(2)) expect(test?.loss).toBeLessThan(0.2);
  });

  it('reports phase, epochs and steps over all phases', () => {
    const ends = reports.filter(({ ended }) => ended !== undefined);
    expect(
      ends.map(({ phase, phases, epoch, epochs, step, steps }) => [phase, phases, epoch, epochs, step, steps]),
    ).toEqual([
      [0, 2, 1, 4, 6, 18],
      [0, 2, 2, 4, 12, 18],
      [1, 2, 3, 4, 15, 18],
      [1, 2, 4, 4, 18, 18],
    ]);
    expect(ends.map(({ secondsLeft }) => Number.isFinite(secondsLeft) && secondsLeft > 0)).toEqual([
      true,
      true,
      true,
      false,
    ]);
    expect(ends.map(({ ended }) => ended?.isLast)).toEqual([false, false, false, true]);
  });

  it('has the result of the last epoch', async () => {
    const result = await record.readResult();
    expect(result).toMatchObject({ steps: 18, epochs: 4, testAccuracy: ofType('epoch')[3]?.test?.accuracy });
    expect([3, 4]).toContain(result?.best?.epoch);
  });

  it('resumes bit for bit, at any step of any phase', async () => {
    const expected = await record.readResult();
    // The calls are those of an uninterrupted run: 5 in each epoch of the first phase, 2 in each of the second. After
    // the tenth, the first phase ends, and its end is the last checkpoint before the eleventh.
    for (const [checkpointAt, killedAt] of [
      [1, 3],
      [6, 8],
      [8, 10],
      [10, 11],
      [11, 12],
      [12, 13],
      [13, 14],
    ] as const) {
      const stopped = newRecord();
      let calls = 0;
      const checkpointDue = () => {
        calls += 1;
        if (calls === killedAt) throw new Error('killed');
        return calls === checkpointAt;
      };
      await expect(once(stopped, { checkpointDue })).rejects.toThrow('killed');
      expect(withoutTimes(await once(stopped))).toEqual(withoutTimes(expected as object));
      expect(curve(await stopped.readEvents())).toEqual(curve(events));
    }
  });
});

it('scores a run at its end even if no phase reads labels', async () => {
  const record = newRecord();
  const { testAccuracy } = await once(record, { phases: [PHASES[0]] });
  expect(testAccuracy).toBeGreaterThanOrEqual(0);
  const ends = (await record.readEvents()).filter((event) => event.type === 'epoch');
  expect(ends.map(({ test }) => test === null)).toEqual([true, false]);
});

it('ends a phase when its patience does, and resumes to the same end', async () => {
  // The classifier does not move, so no epoch is better than the first.
  const still = (patience?: number): Phase => ({
    assignment: { 'conv*': null, 'bn*': null, classifier: chain(gradientDescent(), scaleBy(0)) },
    epochs: 6,
    batch: 8,
    patience,
  });
  const record = newRecord();
  const { epochs, steps } = await once(record, { phases: [still(2), still(1), still()] });
  expect([epochs, steps]).toEqual([3 + 2 + 6, 3 * (3 + 2 + 6)]);

  const stopped = newRecord();
  let calls = 0;
  const checkpointDue = () => {
    calls += 1;
    if (calls === 6) throw new Error('killed'); // in the third epoch
    return false;
  };
  await expect(once(stopped, { phases: [still(2)], checkpointDue })).rejects.toThrow('killed');
  expect((await once(stopped, { phases: [still(2)] })).epochs).toBe(3);
});

const plan: RacePlan = {
  schemaVersion: 1,
  network: 'fasthebb-small',
  dataset: { name: 'glyphs', checksum: '', trainSize: TRAIN, validationSize: 10, testSize: 10 },
  recipes: [{ name: 'ghl' }, planRecipe('hpcaFastHebb', 3)],
  seeds: 1,
  epochs: 3,
  batch: 8,
  backend: 'wasm',
  threads: 1,
  target: 0.9,
  code: '',
};

describe('softHebb', () => {
  it('moves only convolutions first, whose norms fall towards 1, then only the classifier', async () => {
    const plans = { ...plan, network: NETWORK, recipes: [planRecipe('softHebb', 2)] };
    const set = await glyphs({ trainSize: 100, validationSize: 0, testSize: 10, scale: 'unit' });
    const run = { recipe: plans.recipes[0] as PlannedRecipe, seed: 0 };
    const { model, phases } = buildRun({ ...plans, dataset: { ...plan.dataset, trainSize: 100 } }, run, set);
    expect(model.getLayer('pad1').getClassName()).toContain('Pad');
    const norms = () =>
      ['conv1', 'conv2', 'conv3'].map((name) => {
        const [kernel] = model.getLayer(name).getWeights() as [tf.Tensor];
        const columns = kernel.shape.at(-1) as number;
        return tf.tidy(() => tf.mean(tf.norm(tf.reshape(kernel, [-1, columns]), 2, 0)).dataSync()[0] as number);
      });
    const classifier = () => (model.getLayer('classifier').getWeights()[0] as tf.Tensor).dataSync().slice();
    const [hebbian, head] = phases as unknown as [Phase, Phase];
    const before = { norms: norms(), classifier: classifier() };
    for (const norm of before.norms) expect(Math.abs(norm - 25)).toBeLessThan(3);

    const common = { model, data: set, seed: 0, clock, backend: 'wasm' };
    await train({ ...common, phases: [hebbian], record: newRecord() });
    const between = norms();
    between.forEach((norm, i) => {
      expect(norm).toBeLessThan(before.norms[i] as number);
    });
    expect(classifier()).toEqual(before.classifier);

    await train({ ...common, phases: [head], record: newRecord() });
    expect(norms()).toEqual(between);
    expect(classifier()).not.toEqual(before.classifier);
    model.dispose();
  });
});

describe('a planned protocol', () => {
  const epochsOf = (name: string, epochs?: number) =>
    planRecipe(name, epochs).protocol?.phases.map((phase) => phase.epochs);

  it('of Deep SoftHebb is the published one', () => {
    const { protocol } = planRecipe('softHebb');
    expect(phasesText(protocol?.phases ?? [])).toBe('1 epoch in batches of 10, then 50 in batches of 64');
    expect(epochsOf('softHebb', 6)).toEqual([1, 5]);
    const { classifier } = assignmentOf({ name: 'softHebb' }, 'deephebb', 5000, { index: 1 });
    const spec = { head: (classifier as Plasticity).spec as unknown as Json };
    const at = (step: number) => (learningRates(spec, step).head as number) / 1e-3;
    const epochs = [9, 10, 17, 25, 30, 35, 40, 45];
    expect(epochs.map((epoch) => Math.log2(at(100 * epoch)))).toEqual([0, -1, -2, -3, -4, -5, -6, -7]);
    expect(epochs.slice(1).map((epoch) => Math.log2(at(100 * epoch - 1)))).toEqual([0, -1, -2, -3, -4, -5, -6]);
  });

  it('has the published epochs, or divides those of the race in proportion, at least one for each phase', () => {
    expect(planRecipe('ghl', 7)).toEqual({ name: 'ghl' });
    expect(planRecipe('hpcaFastHebb')).toEqual({
      name: 'hpcaFastHebb',
      protocol: {
        data: { scale: 'standardised' },
        phases: [
          { epochs: 20, batch: 64 },
          { epochs: 20, batch: 64 },
        ],
      },
    });
    expect([1, 2, 3, 4, 7, 40, 80].map((epochs) => epochsOf('hpcaFastHebb', epochs))).toEqual([
      [1, 1],
      [1, 1],
      [2, 1],
      [2, 2],
      [4, 3],
      [20, 20],
      [40, 40],
    ]);
  });

  it('is part of the plan, and a plan without it is still valid', () => {
    expect(planSchema.parse(JSON.parse(JSON.stringify(plan)))).toEqual(plan);
    const { recipes, ...rest } = plan;
    expect(planSchema.parse({ ...rest, recipes: [{ name: 'ghl' }] }).recipes).toEqual([{ name: 'ghl' }]);
  });

  it('is text for lists and reports', () => {
    expect(phasesText(planRecipe('hpcaFastHebb', 3).protocol?.phases ?? [])).toBe(
      '2 epochs in batches of 64, then 1 in batches of 64',
    );
    expect(phasesText([{ epochs: 1, batch: 10 }])).toBe('1 epoch in batches of 10');
  });

  it('is checked before anything runs', () => {
    checkRecipe(planRecipe('hpcaFastHebb'), 'fasthebb');
    const phases = [{ epochs: 1, batch: 1, loss: 'meanSquareError' }];
    expect(() => checkRecipe({ name: 'hpcaFastHebb', protocol: { phases } }, 'fasthebb')).toThrow(
      expect.objectContaining({ code: 'UNKNOWN_LOSS', help: expect.stringContaining("'meanSquaredError'") }),
    );
  });

  it('changes the network of no other recipe', () => {
    const built = (recipe: PlannedRecipe) => {
      const { model, phases, specs } = buildRun(plan, { recipe, seed: 0 }, data);
      const activation = model.getLayer('activation1').getClassName();
      model.dispose();
      return {
        activation,
        phases: phases.length,
        learns: specs.map((spec) => Object.values(spec).filter(Boolean).length),
      };
    };
    const [ghl, fastHebb] = plan.recipes as [PlannedRecipe, PlannedRecipe];
    const protocol = { ...fastHebb.protocol, network: { activation: 'triangle' } } as PlannedRecipe['protocol'];
    expect(built(ghl)).toEqual({ activation: 'ReLU', phases: 1, learns: [5] });
    expect(built({ name: fastHebb.name, protocol })).toEqual({ activation: 'GhlTriangle', phases: 2, learns: [5, 2] });
  });

  it('is refused as a whole if a later phase does not fit the network', () => {
    const run = { recipe: plan.recipes[1] as PlannedRecipe, seed: 0 };
    const { length } = Object.keys(assignmentOf(run.recipe, NETWORK, 20));
    expect(length).toBe(8);
    const before = tf.memory().numTensors;
    expect(() => buildRun({ ...plan, network: NETWORK }, run, data)).toThrow(
      expect.objectContaining({ code: 'UNKNOWN_LAYER' }),
    );
    expect(tf.memory().numTensors).toBe(before);
  });

  it('is in the summary, with what learns in each phase', () => {
    const summary = summarise(plan, []);
    expect(summary.recipes.ghl?.protocol).toEqual({
      phases: [{ epochs: 3, batch: 8, loss: 'categoricalCrossentropy', patience: null, learns: null }],
    });
    const manifest = {
      backend: { name: 'wasm' },
      spec: { conv1: {}, classifier: null },
      laterSpecs: [{ conv1: null, classifier: {} }],
    };
    const run = { recipe: 'hpcaFastHebb', seed: 0, state: 'unfinished', manifest, events: [], result: null } as never;
    expect(summarise(plan, [run]).recipes.hpcaFastHebb?.protocol.phases.map(({ learns }) => learns)).toEqual([
      ['conv1'],
      ['classifier'],
    ]);
  });
});
