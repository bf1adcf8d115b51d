import type { RacePlan, RecordedRun, RunEvent, RunManifest, RunResult } from '@ghl/race';
import { summarise } from '@ghl/race';
import { expect, it } from 'vitest';
import { columns, otherBackends, rows, table } from './table.js';

const plan: RacePlan = {
  schemaVersion: 1,
  network: 'fasthebb',
  dataset: { name: 'cifar10', checksum: 'c', trainSize: 2000, validationSize: 500, testSize: 10_000 },
  recipes: [{ name: 'ghl' }, { name: 'localOnly' }],
  seeds: 3,
  epochs: 2,
  batch: 64,
  backend: 'wasm',
  threads: 1,
  target: 0.5,
  code: 'c',
};

const epoch = (number: number, validation: number, test: number): RunEvent => ({
  type: 'epoch',
  step: 32 * number,
  epoch: number,
  train: { loss: 1, accuracy: 0.5 },
  validation: { loss: 1, accuracy: validation },
  test: { loss: 1, accuracy: test },
  trainMs: 1000 * number,
  evalMs: 100_000,
  logMs: 100_000,
});

function finished(seed: number, events: readonly RunEvent[], testAccuracy: number): RecordedRun {
  const result: RunResult = {
    schemaVersion: 1,
    steps: 64,
    epochs: 2,
    testAccuracy,
    best: { epoch: 1, validationAccuracy: 0.6, testAccuracy: 0.1 },
    imagesPerSecond: 100,
    weights: 'w',
    trainMs: 2000,
    evalMs: 0,
    logMs: 0,
  };
  return { recipe: 'ghl', seed, state: 'finished', manifest: null, events, result };
}

const failure: RunEvent = { type: 'failed', step: 7, code: 'NON_FINITE_STEP', message: 'Step 7: …', help: '' };

const runs: readonly RecordedRun[] = [
  finished(0, [epoch(1, 0.4, 0.9), epoch(2, 0.5, 0.2)], 0.2),
  finished(1, [epoch(1, 0.6, 0.9), epoch(2, 0.3, 0.4)], 0.4),
  { recipe: 'ghl', seed: 2, state: 'failed', manifest: null, events: [failure], result: null },
  { recipe: 'localOnly', seed: 0, state: 'unfinished', manifest: null, events: [], result: null },
  { recipe: 'localOnly', seed: 1, state: 'unfinished', manifest: null, events: [], result: null },
  { recipe: 'localOnly', seed: 2, state: 'unfinished', manifest: null, events: [], result: null },
];

it('orders the table by test accuracy, and counts the seeds if some are missing', () => {
  const summary = summarise(plan, runs);
  expect(rows(summary)[0]).toMatchObject({
    recipe: 'ghl',
    testAccuracy: '30.0 ± 14.1 (2 of 3)',
    secondsToTarget: '1.5 ± 0.7 (2 of 3)',
    paper: '83.96',
  });
  expect(rows(summary)[1]).toMatchObject({ recipe: 'localOnly', testAccuracy: '–' });
  expect(columns(summary).map(({ title }) => title)).toContain('seconds to 50 %');
  expect(table(summary)).toContain('83.96');
});

it('lists the runs that other backends than the first computed', () => {
  const manifestOf = (name: string) => ({ backend: { name } }) as RunManifest;
  const [first, second] = runs as [RecordedRun, RecordedRun];
  const resumed = (step: number, backend: string): RunEvent => ({ type: 'resumed', step, backend });
  const mixed = [
    { ...first, manifest: manifestOf('webgpu') },
    { ...second, manifest: manifestOf('wasm'), events: [resumed(20, 'cpu'), ...second.events] },
  ];
  expect(otherBackends(summarise(plan, mixed))).toEqual(['ghl, seed 0: webgpu', 'ghl, seed 1: wasm, then cpu']);
  expect(otherBackends(summarise(plan, [{ ...first, manifest: manifestOf('cpu') }]))).toEqual([]);
});
