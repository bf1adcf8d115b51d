/** A recipe in a comparison of speeds: a separate model and optimizer, trained as in a run. */
import { plasticOptimizer } from '@ghl/learner';
import type { PlannedRecipe } from '@ghl/race';
import { assignmentOf, buildNetwork, trainingStep } from '@ghl/race';
import * as tf from '@tensorflow/tfjs-core';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { type Batches, batchAt } from './batches.js';
import { flopPerImage } from './flop.js';

/** Steps of the paper's 100 epochs at batch 64. The timed steps are the first ones, which are the largest. */
export const SCHEDULED_STEPS = 78_200;

/**
 * Steps after which memory is at its most: the first makes the optimizer's state, later ones use again what was freed.
 */
export const MEMORY_STEPS = 4;

/** The result of one step. */
export interface TimedStep {
  readonly ms: number;
  readonly loss: number;
  /** Tensors more than before it. */
  readonly leaked: number;
}

/** One recipe, ready to be trained. */
export interface RecipeCandidate {
  readonly name: string;
  readonly model: LayersModel;
  /** Floating-point operations of a step, for one image. */
  readonly flopPerImage: number;
  /** Trains on a batch. The time ends when the device has done all of it. */
  step(batch: number): Promise<TimedStep>;
  /** @throws NonFiniteError `NON_FINITE_STEP` where a step was not finite. */
  checkFinite(): Promise<void>;
  dispose(): void;
}

/** Builds the network and the optimizer of a recipe; every recipeCandidate begins with the same weights. */
export function recipeCandidate(recipe: PlannedRecipe, network: string, batches: Batches): RecipeCandidate {
  const model = buildNetwork(network, batches, 0);
  const assignment = assignmentOf(recipe, network, SCHEDULED_STEPS);
  const optimizer = plasticOptimizer(model, assignment);
  return {
    name: recipe.name,
    model,
    flopPerImage: flopPerImage(model, assignment),
    async step(batch) {
      const { xs, ys } = batchAt(batches, batch);
      const before = tf.memory().numTensors;
      const from = performance.now();
      const { loss, correct } = trainingStep(model, optimizer, xs, ys);
      await correct.data(); // made last: when it can be read, the step is over on any device
      const ms = performance.now() - from;
      const [value] = await loss.data();
      tf.dispose([loss, correct]);
      const leaked = tf.memory().numTensors - before;
      tf.dispose([xs, ys]);
      return { ms, loss: value as number, leaked };
    },
    checkFinite: () => optimizer.checkFinite(),
    dispose() {
      optimizer.dispose();
      model.dispose();
    },
  };
}
