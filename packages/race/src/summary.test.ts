import { describe, expect, it } from 'vitest';
import type { RunEvent } from './events.js';
import type { RunManifest } from './manifest.js';
import type { RacePlan } from './plan.js';
import type { RunResult } from './result.js';
import { statistic } from './statistic.js';
import { backendsOf, type RecordedRun, summarise } from './summary.js';

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

describe('a statistic', () => {
  it('covers the seeds with a number', () => {
    expect(statistic([1, 2, 6])).toEqual({ n: 3, mean: 3, sd: Math.sqrt(7), seeds: [1, 2, 6] });
    expect(statistic([1, null, 3])).toEqual({ n: 2, mean: 2, sd: Math.SQRT2, seeds: [1, null, 3] });
  });

  it('has no standard deviation for one number, and no mean for none', () => {
    expect(statistic([5])).toEqual({ n: 1, mean: 5, sd: null, seeds: [5] });
    expect(statistic([null])).toEqual({ n: 0, mean: null, sd: null, seeds: [null] });
  });
});

describe('the summary of a race', () => {
  const summary = summarise(plan, runs);

  it('has the test accuracy of the last epoch, and null for a failed run', () => {
    expect(summary.recipes.ghl?.testAccuracy.seeds).toEqual([0.2, 0.4, null]);
    expect(summary.recipes.ghl?.testAccuracy.mean).toBeCloseTo(0.3, 12);
    expect(summary.recipes.localOnly?.testAccuracy).toEqual({ n: 0, mean: null, sd: null, seeds: [null, null, null] });
  });

  it('times training alone, to the first epoch whose validation accuracy reaches the target', () => {
    expect(summary.recipes.ghl?.secondsToTarget.seeds).toEqual([2, 1, null]);
  });

  it('lists runs without a result, with the reason', () => {
    expect(summary.incomplete).toHaveLength(4);
    expect(summary.incomplete[0]).toEqual({
      recipe: 'ghl',
      seed: 2,
      state: 'failed',
      code: 'NON_FINITE_STEP',
      message: 'Step 7: …',
    });
  });

  it("has the paper's figure and the differences from its protocol", () => {
    expect(summary.recipes.ghl?.paper).toBe(0.8396);
    expect(summary.recipes.localOnly?.paper).toBeNull();
    expect(summary.deviations).toEqual([
      '2 epochs instead of 100',
      '2,000 training images instead of 50,000',
      expect.stringContaining('best test epoch'),
    ]);
    const ours = summarise({ ...plan, network: 'fasthebb-small' }, runs);
    expect(ours.recipes.ghl?.paper).toBeNull();
    expect(ours.deviations).toEqual([]);
  });

  it('lists the backends that computed each run', () => {
    const manifestOf = (name: string) => ({ backend: { name } }) as RunManifest;
    const [first, second, third, ...others] = runs as [RecordedRun, RecordedRun, RecordedRun, ...RecordedRun[]];
    const resumed = (step: number, backend: string): RunEvent => ({ type: 'resumed', step, backend });
    const moved: RecordedRun[] = [
      { ...first, manifest: manifestOf('webgpu') },
      { ...second, manifest: manifestOf('wasm'), events: [resumed(10, 'wasm'), resumed(20, 'cpu'), ...second.events] },
      // Resumed on webgpu after the last step, and on cpu before another step.
      { ...second, manifest: manifestOf('wasm'), events: [resumed(64, 'webgpu')] },
      { ...third, manifest: manifestOf('wasm'), events: [resumed(7, 'webgpu'), resumed(7, 'cpu')] },
    ];
    expect(moved.map(backendsOf)).toEqual([['webgpu'], ['wasm', 'cpu'], ['wasm'], ['wasm', 'cpu']]);
    const [ghl, localOnly] = [moved.slice(0, 3), others];
    const moves = summarise(plan, [...ghl, ...localOnly]);
    expect([moves.backend, moves.backends]).toEqual(['wasm, then webgpu, then cpu', ['wasm', 'webgpu', 'cpu']]);
    expect(moves.recipes.ghl?.backends).toEqual([['webgpu'], ['wasm', 'cpu'], ['wasm']]);
    expect(moves.recipes.localOnly?.backends).toEqual([[], [], []]);
    expect(summary).toMatchObject({ backend: 'wasm', backends: [] });
  });
});
