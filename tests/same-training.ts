/**
 * The training that every backend must make alike: twenty steps of GHL on eight noisy images. Losses agree to 1e-6,
 * until a gradient is so near 0 that rounding decides its sign, which is a step of another direction: so few and such
 * small images that there is none.
 */
import { plasticOptimizer } from '@ghl/learner';
import { networks } from '@ghl/models';
import { ghl } from '@ghl/recipes';
import * as tf from '@tensorflow/tfjs-core';
import type * as tfl from '@tensorflow/tfjs-layers';

/** Steps of it. */
export const steps = 20;

/** The model that it begins with. */
export function fresh(): tfl.LayersModel {
  const { build, constants } = networks['deephebb-small'];
  const model = build({ inputShape: [8, 8, 3], classes: 4, seed: 1 });
  model.compile({
    optimizer: plasticOptimizer(model, ghl({ ...constants, steps: 100 })),
    loss: 'categoricalCrossentropy',
  });
  return model;
}

/** The losses of the next steps. */
export async function take(count: number, model: tfl.LayersModel): Promise<number[]> {
  const x = tf.randomNormal([8, 8, 8, 3], 0, 1, 'float32', 1);
  const y = tf.tidy(() => tf.oneHot(tf.tensor1d([0, 1, 3, 1, 2, 3, 3, 0], 'int32'), 4));
  const losses: number[] = [];
  for (let step = 0; step < count; step++) losses.push((await model.trainOnBatch(x, y)) as number);
  tf.dispose([x, y]);
  return losses;
}

/** Lets go of a model and its optimizer. */
export function dispose(model: tfl.LayersModel): void {
  model.optimizer.dispose();
  model.dispose();
}

/** The whole of it, on the backend that is on; its losses. */
export async function train(): Promise<number[]> {
  const model = fresh();
  const losses = await take(steps, model);
  dispose(model);
  return losses;
}
