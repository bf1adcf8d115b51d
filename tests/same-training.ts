/**
 * The training for a comparison of backends: twenty steps of GHL on eight noisy images. Losses agree to 1e-6 unless
 * rounding decides the sign of a gradient near 0, which reverses a step. With so few and small images, there is none.
 */
import { plasticOptimizer } from '@ghl/learner';
import { networks } from '@ghl/models';
import { ghl } from '@ghl/recipes';
import * as tf from '@tensorflow/tfjs-core';
import type * as tfl from '@tensorflow/tfjs-layers';

/** The number of steps. */
export const steps = 20;

/** The initial model. */
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

/** Disposes of a model and its optimizer. */
export function dispose(model: tfl.LayersModel): void {
  model.optimizer.dispose();
  model.dispose();
}

/** The losses of the whole training, on the active backend. */
export async function train(): Promise<number[]> {
  const model = fresh();
  const losses = await take(steps, model);
  dispose(model);
  return losses;
}
