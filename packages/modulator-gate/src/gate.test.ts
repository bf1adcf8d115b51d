import '@tensorflow/tfjs-backend-cpu';
import { type ModulatorReference, modulatorCases } from '@ghl/conformance';
import type { GlobalModulator } from '@ghl/core';
import { describe, it } from 'vitest';
import { type GateOptions, type GateSignal, gate } from './gate.js';

const mean = (numbers: readonly number[]) => numbers.reduce((sum, each) => sum + each, 0) / numbers.length;

/** ΔW ⊙ open; open = 1 above the threshold and else 0, or the logistic function of the distance to it ÷ width. */
function reference({ on, threshold, width = 0, per }: GateOptions<GateSignal>): ModulatorReference {
  const open = (watched: number) => {
    const above = watched - (threshold as number);
    return width === 0 ? Number(above > 0) : 1 / (1 + Math.exp(-above / (width as number)));
  };
  return {
    ...(on === 'surprise' && { init: () => ({ baseline: { mean: 0, seen: 0 } }) }),
    modulate({ eligibility, signals, units: { fanOut } }, state) {
      if (on === 'gradient') {
        const sizes = (signals.gradient as number[]).map(Math.abs);
        const watched = (i: number) => {
          if (per === 'layer') return mean(sizes);
          return per === 'unit' ? mean(sizes.filter((_, j) => j % fanOut === i % fanOut)) : (sizes[i] as number);
        };
        return { result: eligibility.map((delta, i) => delta * open(watched(i))) };
      }
      if (on !== 'surprise') {
        const factor = open(mean(signals[on] as number[]));
        return { result: eligibility.map((delta) => delta * factor) };
      }
      const { baseline } = state as { baseline: { mean: number; seen: number } };
      const reward = mean(signals.reward as number[]);
      const before = baseline.seen === 1 ? baseline.mean : reward;
      const factor = open(Math.abs(reward - before));
      return {
        result: eligibility.map((delta) => delta * factor),
        state: { baseline: { mean: 0.99 * before + 0.01 * reward, seen: 1 } },
      };
    },
  };
}

// Thresholds that the kit's signals straddle.
describe.each<{
  options: GateOptions<GateSignal>;
  factor: 'weight' | 'unit' | 'layer';
  baselined?: boolean;
  values: [number, number];
}>([
  { options: { on: 'gradient', threshold: 0.4 }, factor: 'weight', values: [0.2, 0.8] },
  { options: { on: 'gradient', threshold: 0.4, per: 'unit' }, factor: 'unit', values: [0.1, 0.9] },
  { options: { on: 'gradient', threshold: 0.4, per: 'layer' }, factor: 'layer', values: [0.1, 0.9] },
  { options: { on: 'gradient', threshold: 0.4, width: 0.1 }, factor: 'weight', values: [0.2, 0.8] },
  { options: { on: 'loss', threshold: 1 }, factor: 'layer', baselined: false, values: [0, 2] },
  { options: { on: 'reward', threshold: 0 }, factor: 'layer', baselined: false, values: [-1, 1] },
  { options: { on: 'surprise', threshold: 0.2 }, factor: 'layer', baselined: true, values: [-1, 2] },
  { options: { on: 'surprise', threshold: 0.2, width: 0.5 }, factor: 'layer', baselined: true, values: [0, 1] },
])('conformance, $options', ({ options, factor, baselined, values }) => {
  const make = (changed: Partial<GateOptions<GateSignal>> = {}) => gate({ ...options, ...changed }) as GlobalModulator;
  for (const { title, run } of modulatorCases(make, {
    reference: reference(options),
    factor,
    linear: true,
    baselined,
    allOrNothing: options.width === undefined,
    plugins: { gate },
    schedules: {
      threshold: { make: (threshold) => make({ threshold }), values },
      width: { make: (width) => make({ width }), values: [0.1, 1] },
    },
  })) {
    it(title, run);
  }
});
