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
};

/**
 * The state before the first step.
 *
 * @param shape Shape of the weight.
 * @param units Sizes of the layer; may be absent for weights that no rule moves (biases).
 */
export function initState(plasticity: Plasticity, shape: readonly number[], units?: Units): PlasticityState {
  const { rule, modulator, transforms } = plasticity;
  const sizes = units ?? unitsOfWeight(shape);
  return {
    rule: rule?.init(sizes) ?? {},
    wrappers: rule?.wrappers?.map((wrapper) => wrapper.init(shape)) ?? [],
    modulator: modulator?.init(sizes) ?? {},
    transforms: transforms.map((transform) => transform.init(shape)),
  };
}

/** The units of a weight without a connection: one input for each unit of its last axis. */
export const unitsOfWeight = (shape: readonly number[]): Units => ({ fanIn: 1, fanOut: shape.at(-1) ?? 1, groups: 1 });
