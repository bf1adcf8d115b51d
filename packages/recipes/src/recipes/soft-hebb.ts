/** Deep SoftHebb in its published protocol: one epoch without labels, then a classifier. */
import { adam, chain, gradientDescent, local, maxAbs, scaleBy, unitStep } from '@ghl/core';
import { softHebb as rule } from '@ghl/rule-softhebb';
import { byEpoch, type Protocol, type ProtocolRecipe } from '../recipe.js';

/** The step of a unit whose norm differs from 1 by 1. */
const STEPS = { conv1: 0.08, conv2: 0.005, conv3: 0.01 } as const;

/** Shares of the classifier's epochs at which its step halves. */
const HALVINGS = [0.2, 0.35, 0.5, 0.6, 0.7, 0.8, 0.9];

const halved = (epoch: number, epochs: number) =>
  1e-3 * 0.5 ** HALVINGS.filter((share) => epoch >= Math.max(1, Math.floor(share * epochs))).length;

/**
 * Deep SoftHebb on the layers of `deepHebb`, with Triangle, reflection padding and initial norms of 25, on images in
 * [0, 1].
 *
 * 1. One epoch in batches of 10: all convolutions learn at once by `local(maxAbs(softHebb({ temperature })))`. The step
 *    of a unit is η √(|‖w‖ − 1| + 1e-10), with η = 0.08, 0.005 and 0.01. No labels are read.
 * 2. 50 epochs in batches of 64: the classifier learns by Adam with the cross-entropy of its logits. The step is 1e-3,
 *    and halves after 20, 35, 50, 60, 70, 80 and 90 % of the epochs. The convolutions and the statistics of the batch
 *    norms are frozen.
 *
 * @see Journé et al., "Hebbian deep learning without feedback", ICLR 2023, and its code.
 * @example
 * ```ts
 * import { plasticOptimizer } from '@ghl/learner';
 * import { deepHebbSmall, networks } from '@ghl/models';
 * import { softHebb } from '@ghl/recipes';
 * import * as tf from '@tensorflow/tfjs-core';
 * import '@tensorflow/tfjs-backend-cpu';
 *
 * const model = deepHebbSmall({ inputShape: [32, 32, 3], classes: 10, ...softHebb.network });
 * for (const { assign, epochs, batch } of softHebb.phases) {
 *   const steps = epochs * Math.ceil(2000 / batch);
 *   const assignment = assign({ ...networks['deephebb-small'].constants, epochs, steps });
 *   const loss = (labels: tf.Tensor, logits: tf.Tensor) => tf.losses.softmaxCrossEntropy(labels, logits);
 *   model.compile({ optimizer: plasticOptimizer(model, assignment), loss });
 *   // await model.fitDataset(…, { epochs });
 *   console.log(epochs, steps);
 * }
 * // => 1 200
 * // => 50 1600
 * ```
 */
export const softHebb: Protocol = {
  network: { activation: 'triangle', padding: 'reflect', radius: 25, classifier: 'positive', logits: true },
  data: { scale: 'unit' },
  phases: [
    {
      epochs: 1,
      batch: 10,
      loss: 'crossEntropyOfLogits',
      assign: ({ temperatures }) => ({
        ...Object.fromEntries(
          Object.entries(STEPS).map(([layer, step]) => {
            const temperature = temperatures[layer] ?? 1;
            return [layer, chain(local(maxAbs(rule({ temperature }))), unitStep(step))];
          }),
        ),
        classifier: null,
      }),
    },
    {
      epochs: 50,
      batch: 64,
      loss: 'crossEntropyOfLogits',
      assign: (options) => ({
        'conv*': null,
        'bn*': null,
        classifier: chain(gradientDescent(), adam(), scaleBy(byEpoch(options, halved))),
      }),
    },
  ],
};

/** softHebb by name. */
export const recipe: ProtocolRecipe = {
  name: 'softHebb',
  describe: 'Deep SoftHebb as published, then a classifier',
  protocol: softHebb,
};
