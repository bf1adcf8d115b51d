/** The state of one weight between steps. */
import type { Plasticity } from '../plasticity.js';
import type { StateTree } from '../state.js';
import type { Units } from '../units.js';

/** The state of a plasticity for one kernel or weight. */
export type PlasticityState = {
  /** The state of the local rule; `{}` without a rule. */
  readonly rule: StateTree;
  /** The state of each wrapper of the rule, in order. */
  readonly wrappers: readonly StateTree[];
  /** The state of the third factor; `{}` without one. */
  readonly modulator: StateTree;
  /** The state of each transform of the chain, in order. */
  readonly transforms: readonly StateTree[];
  /** The state of each term, if the head is a sum. */
  readonly terms: readonly PlasticityState[];
};

/**
 * The state before the first step.
 *
 * @param shape Shape of the weight.
 * @param units Sizes of the layer. Default {@link unitsOfWeight}.
 */
export function initState(plasticity: Plasticity, shape: readonly number[], units?: Units): PlasticityState {
  const { rule, modulator, transforms, terms } = plasticity;
  const sizes = units ?? unitsOfWeight(shape);
  return {
    rule: rule?.init(sizes) ?? {},
    wrappers: rule?.wrappers?.map((wrapper) => wrapper.init(shape, sizes)) ?? [],
    modulator: modulator?.init(sizes) ?? {},
    transforms: transforms.map((transform) => transform.init(shape, sizes)),
    terms: terms?.map((term) => initState(term, shape, sizes)) ?? [],
  };
}

/** The units of a weight without a connection: its last axis. A bias of K numbers has K units with one input each. */
export function unitsOfWeight(shape: readonly number[]): Units {
  return { fanIn: shape.slice(0, -1).reduce((a, b) => a * b, 1), fanOut: shape.at(-1) ?? 1, taps: 1, groups: 1 };
}
