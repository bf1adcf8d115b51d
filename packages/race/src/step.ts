/** One training step, which a run repeats and `bench speed` times. */
import type { PlasticOptimizer } from '@ghl/learner';
import * as tf from '@tensorflow/tfjs-core';
import { lossAndCorrect } from './evaluation.js';
import type { AppliedModel } from './examples.js';

/** Scores of a batch before its step updates the weights, still on the device. The caller disposes of them. */
export interface StepScore {
  /** Mean loss. */
  readonly loss: tf.Scalar;
  /** Images classified correctly. */
  readonly correct: tf.Scalar;
}

/**
 * Trains on one batch. As signals, the reward is 1 for an image classified correctly, else 0; the input is the images,
 * and the target their labels.
 *
 * @param lossName Name of the loss. Default: the cross-entropy.
 */
export function trainingStep(
  model: AppliedModel,
  optimizer: PlasticOptimizer,
  xs: tf.Tensor,
  ys: tf.Tensor2D,
  lossName?: string,
): StepScore {
  const rewarded = optimizer.reads.includes('reward');
  let correct: tf.Tensor1D | undefined;
  try {
    const loss = optimizer.minimize(
      () => {
        const scores = lossAndCorrect(model.apply(xs, { training: true }) as tf.Tensor2D, ys, lossName);
        correct = tf.keep(scores.correct);
        return tf.mean(scores.loss) as tf.Scalar;
      },
      {
        returnCost: true,
        signals: { input: xs, target: ys, ...(rewarded && { reward: () => tf.clone(correct as tf.Tensor1D) }) },
      },
    ) as tf.Scalar;
    return { loss, correct: tf.sum(correct as tf.Tensor1D) };
  } finally {
    correct?.dispose();
  }
}
