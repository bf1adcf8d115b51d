import '@tensorflow/tfjs-backend-cpu';
import { type ModulatorReference, modulatorCases } from '@ghl/conformance';
import type { GlobalModulator } from '@ghl/core';
import { describe, it } from 'vitest';
import { scalar } from './scalar.js';

const mean = (numbers: readonly number[]) => numbers.reduce((sum, each) => sum + each, 0) / numbers.length;

interface Options {
  readonly on?: 'reward' | 'loss' | 'lossDifference';
  readonly baseline?: number;
  readonly per?: 'batch' | 'example';
}

/** (r − r̄)·ΔW, (L̄ − L)·ΔW or (Lₜ₋₁ − Lₜ)·ΔW; or the factors rₚ − r̄. */
function reference({ on = 'reward', baseline = 0.99, per = 'batch' }: Options): ModulatorReference {
  const rate = on === 'lossDifference' ? 0 : baseline;
  return {
    init: () => ({ mean: 0, seen: 0 }),
    modulate({ eligibility, signals, batch }, state) {
      const { mean: kept, seen } = state as { mean: number; seen: number };
      const values = (on === 'reward' ? signals.reward : signals.loss) as number[];
      const before = seen === 1 ? kept : mean(values);
      const factors = values.map((value) => (on === 'reward' ? value - before : before - value));
      const next = { mean: rate * before + (1 - rate) * mean(values), seen: 1 };
      if (per === 'batch') return { result: eligibility.map((delta) => delta * mean(factors)), state: next };
      const all = factors.length === 1 ? Array<number>(batch).fill(factors[0] as number) : factors;
      return { result: all, state: next };
    },
  };
}

describe.each<Options>([
  {},
  { baseline: 0.5 },
  { on: 'loss', baseline: 0.9 },
  { on: 'lossDifference' },
  { per: 'example' },
  { per: 'example', baseline: 0.5 },
])('conformance, %o', (options) => {
  const make = (changed: object = {}) => scalar({ ...options, ...changed } as { on?: 'reward' }) as GlobalModulator;
  for (const { title, run } of modulatorCases(make, {
    reference: reference(options),
    factor: options.per === 'example' ? 'example' : 'layer',
    linear: true,
    baselined: true,
    plugins: { scalar },
    ...(options.on !== 'lossDifference' && {
      schedules: { baseline: { make: (baseline) => make({ baseline }), values: [0.9, 0.2] } },
    }),
  })) {
    it(title, run);
  }
});
