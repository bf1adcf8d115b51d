/** Builds the model and the phases of a run from its plan. */
import type { Json } from '@ghl/core';
import type { ImageSet } from '@ghl/datasets';
import { plasticOptimizer } from '@ghl/learner';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { networkOf } from './network.js';
import { type PlannedProtocol, type PlannedRun, phasesOf, type RacePlan, stepsOf } from './plan.js';
import { assignmentOf } from './recipe.js';
import type { Phase } from './trainer.js';

/**
 * Builds a network for the images of a dataset.
 *
 * @param options Further options of the network's function.
 * @throws ConfigurationError `UNKNOWN_NETWORK`, or the errors of the builder.
 */
export function buildNetwork(
  name: string,
  data: Pick<ImageSet, 'shape' | 'classes'>,
  seed: number,
  options: PlannedProtocol['network'] = {},
): LayersModel {
  return networkOf(name).build({ inputShape: data.shape, classes: data.classes.length, seed, ...options });
}

/** The model of a run, its phases, and the spec of each phase as JSON. */
export interface BuiltRun {
  readonly model: LayersModel;
  readonly phases: readonly [Phase, ...Phase[]];
  readonly specs: readonly { readonly [selector: string]: Json }[];
}

/**
 * The model and the phases of a run. The caller disposes of the model.
 *
 * @param data The images, which the caller has loaded with `recipe.protocol.data`.
 * @throws ConfigurationError, as the network, the recipe and `plasticOptimizer` for every phase.
 */
export function buildRun(plan: RacePlan, run: PlannedRun, data: Pick<ImageSet, 'shape' | 'classes'>): BuiltRun {
  const { recipe, seed } = run;
  const phases = phasesOf(plan, recipe).map((phase, index): Phase => {
    const { epochs } = phase;
    return { ...phase, assignment: assignmentOf(recipe, plan.network, stepsOf(plan, phase), { index, epochs }) };
  }) as [Phase, ...Phase[]];
  const model = buildNetwork(plan.network, data, seed, recipe.protocol?.network);
  try {
    return { model, phases, specs: phases.map((phase) => specOf(model, phase)) };
  } catch (error) {
    model.dispose();
    throw error;
  }
}

/** The spec of a phase. A later phase that does not fit the model would otherwise fail only when it begins. */
function specOf(model: LayersModel, { assignment }: Phase): { readonly [selector: string]: Json } {
  const optimizer = plasticOptimizer(model, assignment);
  const { spec } = optimizer;
  optimizer.dispose();
  return spec;
}
