/** A phase of a recipe in a comparison of speeds: a separate model and optimizer, trained as in a run. */
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
 * Steps after which memory is at its peak. The first creates the optimizer's state; later ones reuse freed memory.
 */
export const MEMORY_STEPS = 4;

/** The result of one step. */
export interface TimedStep {
  readonly ms: number;
  readonly loss: number;
  /** Number of tensors that the step added. */
  readonly leaked: number;
}

/** One phase of a recipe, ready to train. */
export interface RecipeCandidate {
  readonly name: string;
  readonly model: LayersModel;
  /** Floating-point operations of a step, for one image. */
  readonly flopPerImage: number;
  /** Trains on a batch. The time ends when the device has finished. */
  step(batch: number): Promise<TimedStep>;
  /** @throws NonFiniteError `NON_FINITE_STEP` if a step was not finite. */
  checkFinite(): Promise<void>;
  dispose(): void;
}

/** A recipe of one phase, or one phase of a recipe. */
export interface CandidateChoice {
  readonly recipe: PlannedRecipe;
  /** From 0. */
  readonly phase: number;
}

/** The candidates of some recipes: one for each phase. */
export function candidateChoices(recipes: readonly PlannedRecipe[]): CandidateChoice[] {
  return recipes.flatMap((recipe) => (recipe.protocol?.phases ?? [null]).map((_, phase) => ({ recipe, phase })));
}

/**
 * Builds the network and the optimizer of a phase. Every candidate begins with the same weights, unless a protocol
 * changes the network.
 */
export function recipeCandidate(
  { recipe, phase }: CandidateChoice,
  network: string,
  batches: Batches,
): RecipeCandidate {
  const model = buildNetwork(network, batches, 0, recipe.protocol?.network);
  const assignment = assignmentOf(recipe, network, SCHEDULED_STEPS, { index: phase });
  const phases = recipe.protocol?.phases ?? [];
  const optimizer = plasticOptimizer(model, assignment);
  return {
    name: phases.length > 1 ? `${recipe.name}, phase ${phase + 1}` : recipe.name,
    model,
    flopPerImage: flopPerImage(model, assignment),
    async step(batch) {
      const { xs, ys } = batchAt(batches, batch);
      const before = tf.memory().numTensors;
      const from = performance.now();
      const { loss, correct } = trainingStep(model, optimizer, xs, ys, phases[phase]?.loss);
      await correct.data(); // computed last: after it is read, the step is complete on any device
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
