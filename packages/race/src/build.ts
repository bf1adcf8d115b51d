/** Builds the model and the optimizers of a run from its plan. */
import type { ImageSet } from '@ghl/datasets';
import { plasticOptimizer } from '@ghl/learner';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { networkOf } from './network.js';
import { type PlannedRun, phasesOf, type RacePlan, stepsPerEpoch } from './plan.js';
import { assignmentOf } from './recipe.js';
import type { Phase } from './trainer.js';

/**
 * Builds a network for the images of a dataset.
 *
 * @throws ConfigurationError `UNKNOWN_NETWORK`, or the errors of the builder.
 */
export function buildNetwork(name: string, data: Pick<ImageSet, 'shape' | 'classes'>, seed: number): LayersModel {
  return networkOf(name).build({ inputShape: data.shape, classes: data.classes.length, seed });
}

/** The model of a run and its phases, each with a new optimizer. The caller disposes of both. */
export function buildRun(
  plan: RacePlan,
  run: PlannedRun,
  data: Pick<ImageSet, 'shape' | 'classes'>,
): { readonly model: LayersModel; readonly phases: readonly [Phase] } {
  const model = buildNetwork(plan.network, data, run.seed);
  const [{ recipe, epochs, batch }] = phasesOf(plan, run);
  const assignment = assignmentOf(recipe, plan.network, epochs * stepsPerEpoch(plan));
  return { model, phases: [{ optimizer: plasticOptimizer(model, assignment), epochs, batch }] };
}
