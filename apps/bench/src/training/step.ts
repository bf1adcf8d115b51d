/** One step of training: what a run repeats, and what `bench speed` times. */
import type { PlasticOptimizer } from '@ghl/learner';
import * as tf from '@tensorflow/tfjs-core';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { judge } from './evaluate.js';

/** What a step says of its batch before it moved the weights, still on the device. Whoever asked disposes of it. */
export interface StepScore {
  /** Mean cross-entropy. */
  readonly loss: tf.Scalar;
  /** Images classified right. */
  readonly correct: tf.Scalar;
}

/** Trains on one batch. Where a rule reads a reward, it is 1 for an image that is classified right, else 0. */
export function trainingStep(
  model: LayersModel,
  optimizer: PlasticOptimizer,
  xs: tf.Tensor,
  ys: tf.Tensor2D,
): StepScore {
  const rewarded = optimizer.reads.includes('reward');
  let correct: tf.Tensor1D | undefined;
  try {
    const loss = optimizer.minimize(
      () => {
        const judged = judge(model.apply(xs, { training: true }) as tf.Tensor2D, ys);
        correct = tf.keep(judged.correct);
        return tf.mean(judged.loss) as tf.Scalar;
      },
      { returnCost: true, ...(rewarded && { signals: { reward: () => tf.clone(correct as tf.Tensor1D) } }) },
    ) as tf.Scalar;
    return { loss, correct: tf.sum(correct as tf.Tensor1D) };
  } finally {
    correct?.dispose();
  }
}
