import '@tensorflow/tfjs-backend-cpu';
import { type ModulatorReference, modulatorCases } from '@ghl/conformance';
import { modulateEach, numbers, type PlainSignals, stepOnce } from '@ghl/conformance/testing';
import { chain, type GlobalModulator, type LocalRule, maxAbs, scaleBy, threeFactor } from '@ghl/core';
import { type Connection, conv1d, conv2d, dense, depthwiseConv2d } from '@ghl/core/engine';
import { specOf } from '@ghl/core/plugin';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';
import { type GateOptions, type GateSignal, gate } from './gate.js';

it('opens for each weight whose |∂L/∂W| is above θ = 0.5', () => {
  // |∂L/∂W| = [0.4, 0.6, 0.5] > 0.5 gives open = [0, 1, 0]; ΔW·open = [0, −2, 0]
  const actual = modulateEach(
    gate({ on: 'gradient', threshold: 0.5 }),
    [[1, -2, 3]],
    [{ gradient: [[0.4, -0.6, 0.5]] }],
  );
  expect(actual[0]).toBeAllClose([[0, -2, 0]]);
});

it('opens by the logistic function of (s − θ)/width', () => {
  // s = r = 1, θ = 0, width = 1/ln 3: open = 1/(1 + exp(−ln 3)) = ¾
  const soft = gate({ on: 'reward', threshold: 0, width: 1 / Math.log(3) });
  expect(modulateEach(soft, [[1, -2]], [{ reward: 1 }])[0]).toBeAllClose([[0.75, -1.5]]);
});

it('opens on surprise: the rewards 1, 1, 2 and 1.01 give shut, shut, open and shut', () => {
  // r̄ starts at 1, and moves by 1 % of each error: |r − r̄| = 0, 0, 1, then |1.01 − 1.01| = 0
  const rewards = [1, 1, 2, 1.01].map((reward) => ({ reward }));
  const actual = modulateEach(gate({ on: 'surprise', threshold: 0.5 }), [[4]], rewards);
  expect(actual).toEqual([[[0]], [[0]], [[4]], [[0]]]);
});

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
      width: { make: (width) => make({ width }), values: [0.1, 1], outside: [-0.01] },
    },
  })) {
    it(title, run);
  }
});

/** A competitive rule, to have something to shut off. */
const rule: LocalRule = {
  spec: specOf('rule'),
  init: () => ({}),
  gate: ({ post }, state) => ({ gate: tf.softmax(post), reconstruction: post, scope: 'own', state }),
};

describe.each<{ what: string; connection: Connection; shape: number[] }>([
  { what: 'dense', connection: dense([3, 4]), shape: [5, 3] },
  { what: 'conv1d', connection: conv1d([3, 2, 4]), shape: [2, 6, 2] },
  { what: 'conv2d', connection: conv2d([3, 3, 2, 4], { padding: 1 }), shape: [2, 5, 5, 2] },
  { what: 'depthwise', connection: depthwiseConv2d([3, 3, 2, 2]), shape: [2, 5, 5, 2] },
])('a layer, $what', ({ connection, shape }) => {
  const weights = numbers(1, connection.kernelShape);
  const bits = (values: Float32Array) => [...new Int32Array(values.buffer)];
  const before = bits(weights.slice());
  const weightsAfter = (modulator: GlobalModulator, signals: PlainSignals) => {
    const plasticity = chain(threeFactor(maxAbs(rule), modulator), scaleBy(0.1));
    const layer = { connection, weights, input: numbers(2, shape), inputShape: shape };
    const increment = stepOnce(plasticity, layer, signals).flat();
    return bits(weights.map((weight, i) => weight + (increment[i] as number)));
  };

  it.each<{ options: GateOptions<GateSignal>; signals: PlainSignals }>([
    { options: { on: 'gradient', threshold: 2 }, signals: { gradient: weights } },
    { options: { on: 'reward', threshold: 0 }, signals: { reward: 0 } },
    { options: { on: 'loss', threshold: 1 }, signals: { loss: 0.5 } },
    { options: { on: 'surprise', threshold: 0 }, signals: { reward: 3 } },
  ])('keeps every bit of its weights if its gate is shut: $options', ({ options, signals }) => {
    expect(weightsAfter(gate(options) as GlobalModulator, signals)).toEqual(before);
  });

  it('moves the weights whose gates are open, and no others', () => {
    const gradient = weights.map((weight) => Number(weight > 0));
    const after = weightsAfter(gate({ on: 'gradient', threshold: 0.5 }) as GlobalModulator, { gradient });
    expect(after.map((each, i) => each !== before[i])).toEqual([...weights].map((weight) => weight > 0));
  });
});
