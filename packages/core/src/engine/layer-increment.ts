/** The three phases of a step in one call. */
import * as tf from '@tensorflow/tfjs-core';
import type { Plasticity } from '../plasticity.js';
import type { IncrementResult } from '../transform.js';
import { computeEligibilities } from './eligibility.js';
import { computeGates } from './gates.js';
import { computeIncrement } from './increment.js';
import type { LayerStep } from './layer-step.js';
import { batchOf } from './signals.js';
import type { PlasticityState } from './state.js';

/** The result of {@link layerIncrement}. */
export interface LayerIncrement extends IncrementResult<PlasticityState> {
  /** ΔW of each gate, before wrappers; kernel-shaped. Absent if no rule reads activity. */
  readonly eligibilities?: readonly tf.Tensor[];
}

/**
 * All three phases of one layer: its increment, and the ΔW from which it results. For tests, and for learners without a
 * fused backward pass.
 *
 * @throws SignalError `SIGNAL_MISSING`; DataError `EMPTY_TENSOR` if a call has no examples or no positions.
 */
export function layerIncrement(plasticity: Plasticity, layer: LayerStep, state: PlasticityState): LayerIncrement {
  const { connection, kernel, calls, signals, step } = layer;
  const gates = computeGates(plasticity, layer, state);
  const input = {
    weights: kernel,
    signals,
    units: connection.units,
    batch: batchOf(calls.map(({ post }) => post)),
    step,
  };
  if (gates === null) return computeIncrement(plasticity, input, state);
  const each = calls.map(({ pre }, i) => connection.correlate(pre, gates.cotangents[i] as tf.Tensor[]));
  const correlated = gates.overlaps.map((_, gate) => tf.addN(each.map((sums) => sums[gate] as tf.Tensor)));
  const eligibilities = computeEligibilities(layer, gates, correlated);
  return { ...computeIncrement(plasticity, { ...input, eligibilities }, gates.state), eligibilities };
}
