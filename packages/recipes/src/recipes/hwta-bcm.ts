/** HWTa-BCM in its authors' protocol: Hebbian convolutions first, then a classifier on top of them. */
import { adam, chain, gradientDescent, local, maxAbs, scaleBy } from '@ghl/core';
import { hwtaBcm as rule } from '@ghl/rule-bcm';
import type { Protocol, ProtocolRecipe } from '../recipe.js';

/**
 * HWTa-BCM on the layers in `temperatures`, which are the convolutions of `deepHebb`: one epoch of
 * `local(maxAbs(hwtaBcm()))` at step 0.1, then 10 epochs of the classifier by Adam with step 1e-3. Batches of 64. The
 * network has Triangle, reflection padding and weights of norm 25, as Deep SoftHebb. The first phase reads no labels.
 *
 * The published code filters the similarities by a difference of Gaussians before the competition. It also whitens the
 * images with a matrix from training and test images, and mirrors some test images. This recipe does none of these.
 *
 * @see Jiménez Nimmo and Mondragón, "Advancing the Biological Plausibility and Efficacy of Hebbian Convolutional Neural
 * Networks", 2025, and its code.
 * @example
 * ```ts
 * import { plasticOptimizer } from '@ghl/learner';
 * import { deepHebbSmall, networks } from '@ghl/models';
 * import { hwtaBcm } from '@ghl/recipes';
 * import * as tf from '@tensorflow/tfjs-core';
 * import '@tensorflow/tfjs-backend-cpu';
 *
 * const model = deepHebbSmall({ ...hwtaBcm.network });
 * for (const { assign, epochs, batch } of hwtaBcm.phases) {
 *   const steps = epochs * Math.ceil(2000 / batch);
 *   const assignment = assign({ ...networks['deephebb-small'].constants, epochs, steps });
 *   const loss = (labels: tf.Tensor, logits: tf.Tensor) => tf.losses.softmaxCrossEntropy(labels, logits);
 *   model.compile({ optimizer: plasticOptimizer(model, assignment), loss });
 *   // await model.fitDataset(…, { epochs });
 *   console.log(epochs, steps);
 * }
 * // => 1 32
 * // => 10 320
 * ```
 */
export const hwtaBcm: Protocol = {
  network: { activation: 'triangle', padding: 'reflect', radius: 25, logits: true },
  phases: [
    {
      epochs: 1,
      batch: 64,
      loss: 'crossEntropyOfLogits',
      assign({ temperatures }) {
        const hebbian = chain(local(maxAbs(rule())), scaleBy(0.1));
        return { ...Object.fromEntries(Object.keys(temperatures).map((layer) => [layer, hebbian])), classifier: null };
      },
    },
    {
      epochs: 10,
      batch: 64,
      loss: 'crossEntropyOfLogits',
      assign: () => ({ classifier: chain(gradientDescent(), adam(), scaleBy(1e-3)), '*': null }),
    },
  ],
};

/** hwtaBcm by name. */
export const recipe: ProtocolRecipe = {
  name: 'hwtaBcm',
  describe: 'a sliding threshold for the winners, then a classifier',
  protocol: hwtaBcm,
};
