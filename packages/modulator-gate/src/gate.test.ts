import '@tensorflow/tfjs-backend-cpu';
import { type ModulatorReference, modulatorCases } from '@ghl/conformance';
import { chain, type GlobalModulator, type LocalRule, maxAbs, scaleBy, threeFactor } from '@ghl/core';
import {
  type AvailableSignals,
  type Connection,
  conv1d,
  conv2d,
  dense,
  depthwiseConv2d,
  initState,
  layerIncrement,
} from '@ghl/core/engine';
import { specOf } from '@ghl/core/plugin';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';
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
  const weightsAfter = (modulator: GlobalModulator, signals: (kernel: tf.Tensor) => AvailableSignals) =>
    tf.tidy(() => {
      const plasticity = chain(threeFactor(maxAbs(rule), modulator), scaleBy(0.1));
      const kernel = tf.randomUniform([...connection.kernelShape], -1, 1, 'float32', 1);
      const pre = tf.randomUniform(shape, -1, 1, 'float32', 2);
      const calls = [{ pre, post: connection.forward(pre, kernel) }];
      const state = initState(plasticity, connection.kernelShape, connection.units);
      const { increment } = layerIncrement(
        plasticity,
        { connection, kernel, calls, signals: signals(kernel), step: 0 },
        state,
      );
      const bits = (tensor: tf.Tensor) => [...new Int32Array((tensor.dataSync() as Float32Array).slice().buffer)];
      return { before: bits(kernel), after: bits(tf.add(kernel, increment)) };
    });

  it.each<{ options: GateOptions<GateSignal>; signals: (kernel: tf.Tensor) => AvailableSignals }>([
    { options: { on: 'gradient', threshold: 2 }, signals: (kernel) => ({ gradient: kernel }) },
    { options: { on: 'reward', threshold: 0 }, signals: () => ({ reward: tf.scalar(0) }) },
    { options: { on: 'loss', threshold: 1 }, signals: () => ({ loss: tf.scalar(0.5) }) },
    { options: { on: 'surprise', threshold: 0 }, signals: () => ({ reward: tf.scalar(3) }) },
  ])('whose gate is shut keeps every bit of its weights: $options', ({ options, signals }) => {
    const { before, after } = weightsAfter(gate(options) as GlobalModulator, signals);
    expect(after).toEqual(before);
  });

  it('moves where the gate of a weight is open, and nowhere else', () => {
    const { before, after } = weightsAfter(gate({ on: 'gradient', threshold: 0.5 }) as GlobalModulator, (kernel) => ({
      gradient: tf.step(kernel),
    }));
    const positive = before.map((bits) => bits > 0);
    expect(after.map((bits, i) => bits !== before[i])).toEqual(positive);
  });
});
