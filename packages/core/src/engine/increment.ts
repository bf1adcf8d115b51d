/** The third phase of a step: the third factor enters, and the transforms follow. */
import * as tf from '@tensorflow/tfjs-core';
import { checkNotEmpty } from '../checks.js';
import type { Plasticity } from '../plasticity.js';
import type { StateTree } from '../state.js';
import type { IncrementResult } from '../transform.js';
import type { Units } from '../units.js';
import { eligibilityCount } from './gates.js';
import { type AvailableSignals, pick } from './signals.js';
import { type PlasticityState, unitsOfWeight } from './state.js';
import { checkShape, tidyRecord } from './tensors.js';

/** One weight in one step, after its eligibility is known. */
export interface WeightStep {
  /** W, kernel-shaped, or a weight that no rule moves (a bias). */
  readonly weights: tf.Tensor;
  /** ΔW of each gate, as `computeEligibilities` returns them; absent if no rule reads activity. */
  readonly eligibilities?: readonly tf.Tensor[];
  /** At least those that the plasticity reads. */
  readonly signals: AvailableSignals;
  /** Sizes of the layer; default the weight's last axis as units. */
  readonly units?: Units;
  /** Examples in this step's batch. */
  readonly batch: number;
  /** Updates made so far, 0 at the first, for schedules. */
  readonly step: number;
  /** Factor of the increment, which acts before the constraints of the weights. Default 1. */
  readonly scale?: number;
}

/**
 * The third phase: ΔW, signals → Δ, which is added to the weights. Wrappers, the third factor, then the transforms. In
 * a sum, each term has all of these before the terms are added.
 *
 * @throws SignalError `SIGNAL_MISSING`; DataError `EMPTY_TENSOR` for weights or a signal without values.
 * @throws ConfigurationError `WRONG_SHAPE` unless the increments of the modulator and of each transform have the shape
 * of the weights.
 */
export function computeIncrement(
  plasticity: Plasticity,
  weightStep: WeightStep,
  state: PlasticityState,
): IncrementResult<PlasticityState> {
  const { weights, units = unitsOfWeight(weights.shape), step, scale = 1 } = weightStep;
  checkNotEmpty('A plasticity', { weights });
  const { increment, ...head } = tidyRecord(() =>
    (plasticity.terms === undefined ? headIncrement : sumOfTerms)(plasticity, weightStep, state),
  );
  const unconstrained = countUnconstrained(plasticity);
  const scaled = (delta: tf.Tensor) => (scale === 1 ? delta : tf.mul(delta, scale));
  let delta = unconstrained === 0 ? scaled(increment) : increment;
  const transforms = plasticity.transforms.map((transform, i) => {
    const next = tidyRecord(() => transform.update(delta, { weights, units, step }, state.transforms[i] as StateTree));
    checkShape('increment', next.increment, weights.shape);
    delta = i + 1 === unconstrained ? scaled(next.increment) : next.increment;
    return next.state;
  });
  return { increment: delta, state: { ...state, ...head, transforms } };
}

/** The number of transforms before the constraints of the weights. */
export function countUnconstrained({ transforms }: Plasticity): number {
  return transforms.filter(({ constraint }) => constraint === undefined).length;
}

/** The increment of a head, and the parts of its state that this phase changes. */
interface HeadIncrement extends Partial<PlasticityState> {
  readonly increment: tf.Tensor;
}

function headIncrement(
  { rule, modulator }: Plasticity,
  { weights, eligibilities, signals, units = unitsOfWeight(weights.shape), batch, step }: WeightStep,
  state: PlasticityState,
): HeadIncrement {
  if (rule === null) return { increment: tf.neg(pick(signals, ['gradient']).gradient) };
  const wrappers: StateTree[] = [];
  let measured = eligibilities?.[0] ?? tf.onesLike(weights);
  let modulated = eligibilities?.[1] ?? measured;
  rule.wrappers?.forEach((wrapper, i) => {
    const { apply, state: next } = wrapper.wrap(measured, { weights, units, step }, state.wrappers[i] as StateTree);
    const plain = modulated === measured;
    measured = apply(measured);
    modulated = plain ? measured : apply(modulated);
    wrappers.push(next);
  });
  if (modulator?.actsOn !== 'weights') return { increment: modulated, wrappers };
  const seen = pick(signals, modulator.reads);
  const third = modulator.modulate(modulated, seen, { units, step, batch }, state.modulator);
  checkShape('increment', third.increment, weights.shape);
  return { increment: third.increment, wrappers, modulator: third.state };
}

function sumOfTerms(
  { terms = [] }: Plasticity,
  { eligibilities, scale: _, ...weightStep }: WeightStep,
  state: PlasticityState,
): HeadIncrement {
  let first = 0;
  const results = terms.map((term, i) => {
    const own = eligibilities?.slice(first, first + eligibilityCount(term));
    first += eligibilityCount(term);
    return computeIncrement(
      term,
      own === undefined ? weightStep : { ...weightStep, eligibilities: own },
      state.terms[i] as PlasticityState,
    );
  });
  return {
    increment: tf.addN(results.map(({ increment }) => increment)),
    terms: results.map((result) => result.state),
  };
}
