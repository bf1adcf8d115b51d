import { describe, expect, it } from 'vitest';
import { environment } from '../platform/environment.js';
import { type SpeedSummary, speedOf } from './summary.js';
import { backendsText, speedText } from './text.js';

const row = (kernel: string | null, ms: number) => ({
  kernel,
  layer: 'conv1',
  pass: 'forward' as const,
  calls: 2,
  ms,
  share: ms / 100,
  megabytes: 3,
});

const speed = speedOf([90, 100, 120], 64, 2e9, 640, 300);
const quotients = { backprop: 0.5, ghlPublished: 2.25, ghlGradient: 1.125 };
const summary: SpeedSummary = {
  schemaVersion: 1,
  network: 'deephebb',
  dataset: 'cifar10',
  batch: 64,
  backend: 'wasm',
  threads: 1,
  steps: 3,
  gemmPeakGflops: 640,
  gemmGflops: { 768: 640 },
  recipes: {
    ghl: {
      ...speed,
      gflopPerImage: 2,
      leakedTensors: 7,
      peakDeviceMiB: null,
      profile: [row('Conv2D', 90), row(null, 9.4), row('Add', 0.4), row('Sub', 0.2)],
    },
  },
  ghlToBackprop: 1.25,
  ghlToBackpropSpread: 0.01,
  pytorch: {
    versions: { torch: '2.0', python: '3.11' },
    threads: 1,
    gemmPeakGflops: 100,
    ways: { backprop: speed, ghlPublished: speed, ghlGradient: speed },
    oursToTheirs: { ghl: quotients },
  },
  loadBefore: 2.5,
  device: null,
  driver: null,
  kernels: [],
  notes: ['One thread: no shared memory.'],
  environment: environment(),
};

describe('the text of a comparison', () => {
  const text = speedText(summary);

  it('has every figure and every caveat', () => {
    expect(text).toMatch(/│ ghl +│ 100\.0 ± 10\.0 │ +640 │ +1280\.0 │ +2\.00 │ +300 │ +7 │/);
    expect(text).toContain('GHL/BP 1.250 ± 0.010');
    expect(text).toContain('GEMM peak 640.0 GFLOP/s');
    expect(text).toContain('One thread: no shared memory.');
    expect(text).toContain('load 2.5');
    expect(text).toContain('PyTorch 2.0, Python 3.11, 1 thread,');
    expect(text).toMatch(/│ ghl +│ +0\.50 │ +2\.25 │ +1\.13 │/);
  });

  it('sums a profile and its smaller rows', () => {
    expect(text).toContain('spends its time, in 8 kernels with 12 MB in and out');
    expect(text).toMatch(/│ outside of kernels │.*│ +9\.40 │ +9\.4 │/);
    expect(text).toMatch(/│ 2 smaller ones +│ – +│ – +│ +4 │ +0\.60 │ +0\.6 │ +6\.0 │/);
    expect(text).not.toContain('Sub');
  });
});

it('shows every figure of all backends, and why the others did not run', () => {
  const { recipes } = summary;
  const other = { ...recipes.ghl!, peakDeviceMiB: 512.4 };
  const text = backendsText({
    schemaVersion: 1,
    network: 'deephebb',
    batch: 64,
    backends: {
      wasm: summary,
      webgpu: { ...summary, device: 'A GPU', notes: [], recipes: { ghl: other, backprop: other } },
      'node-gpu': { reason: 'There is no binding.', help: 'build it.' },
    },
  });
  expect(text).toMatch(/│ wasm +│ ghl +│ +640\.0 │ +100\.0 ± 10\.0 │ +1\.250 │ +300 │ +– │/);
  expect(text).toMatch(/│ webgpu +│ backprop +│ +640\.0 │ +100\.0 ± 10\.0 │ +– │ +300 │ +512 │/);
  expect(text).toContain('wasm: One thread: no shared memory.');
  expect(text).toContain('webgpu: A GPU');
  expect(text).toContain('node-gpu did not run: There is no binding.\n  help: build it.');
});
