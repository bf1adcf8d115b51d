/** The third phase of a step: the third factor enters, and the transforms follow. */
import * as tf from '@tensorflow/tfjs-core';
import { checkNotEmpty } from '../checks.js';
import type { Plasticity } from '../plasticity.js';
import type { StateTree } from '../state.js';
import type { IncrementResult } from '../transform.js';
import type { Units } from '../units.js';
import { type AvailableSignals, pick } from './signals.js';
import { type PlasticityState, unitsOfWeight } from './state.js';
import { checkShape, tidyRecord } from './tensors.js';

/** One weight in one step, after its eligibility is known. */
export interface WeightStep {
  /** W, kernel-shaped, or a weight that no rule moves (a bias). */
  readonly weights: tf.Tensor;
  /** ΔW of G, and of m⊙G; absent if the plasticity has no rule, or its rule reads no activity. */
  readonly eligibilities?: readonly tf.Tensor[];
  /** At least those that the plasticity reads. */
  readonly signals: AvailableSignals;
  /** Sizes of the layer; default the weight's last axis as units. */
  readonly units?: Units;
  /** Examples in this step's batch. */
  readonly batch: number;
  /** Updates made so far, 0 at the first, for schedules. */
  readonly step: number;
}

/**
 * The third phase: ΔW, signals → Δ, which is added to the weights. Wrappers, the third factor, then the transforms.
 *
 * @throws SignalError `SIGNAL_MISSING`; DataError `EMPTY_TENSOR` for weights or a signal without values.
 * @throws ConfigurationError `WRONG_SHAPE` unless the increments of the modulator and of each transform have the shape
 * of the weights.
 */
export function computeIncrement(
  { rule, modulator, transforms }: Plasticity,
  { weights, eligibilities, signals, units = unitsOfWeight(weights.shape), batch, step }: WeightStep,
  state: PlasticityState,
): IncrementResult<PlasticityState> {
  checkNotEmpty('A plasticity', { weights });
  const head = tidyRecord(() => {
    const wrappers: StateTree[] = [];
    if (rule === null) {
      return { increment: tf.neg(pick(signals, ['gradient']).gradient), wrappers, modulator: state.modulator };
    }
    let measured = eligibilities?.[0] ?? tf.onesLike(weights);
    let modulated = eligibilities?.[1] ?? measured;
    rule.wrappers?.forEach((wrapper, i) => {
      const { apply, state: next } = wrapper.wrap(measured, { weights, units, step }, state.wrappers[i] as StateTree);
      const plain = modulated === measured;
      measured = apply(measured);
      modulated = plain ? measured : apply(modulated);
      wrappers.push(next);
    });
    if (modulator?.actsOn !== 'weights') return { increment: modulated, wrappers, modulator: state.modulator };
    const seen = pick(signals, modulator.reads);
    const third = modulator.modulate(modulated, seen, { units, step, batch }, state.modulator);
    checkShape('increment', third.increment, weights.shape);
    return { increment: third.increment, wrappers, modulator: third.state };
  });
  let delta = head.increment;
  const states = transforms.map((transform, i) => {
    const next = tidyRecord(() => transform.update(delta, { weights, units, step }, state.transforms[i] as StateTree));
    checkShape('increment', next.increment, weights.shape);
    delta = next.increment;
    return next.state;
  });
  const { wrappers, modulator: modulatorState } = head;
  return { increment: delta, state: { rule: state.rule, wrappers, modulator: modulatorState, transforms: states } };
}
