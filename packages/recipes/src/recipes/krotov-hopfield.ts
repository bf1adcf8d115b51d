/** Krotov and Hopfield's hidden layer, then a classifier on top of it. */
import { adam, chain, gradientDescent, linear, local, maxAbs, scaleBy } from '@ghl/core';
import { krotov } from '@ghl/rule-krotov';
import type { Protocol, ProtocolRecipe } from '../recipe.js';

/**
 * Krotov and Hopfield's training of the layers in `temperatures`, which is `hidden` of `oneHidden`: 1,000 epochs of
 * `local(maxAbs(krotov({ p: 3, rank: 7, delta: 0.4 })))`, whose step falls from 0.04 to 0 along a line. Then 300 epochs
 * of the classifier by Adam with step 1e-3, to minimize `powerLoss`. Batches of 100. Pixels are in [0, 1], and the
 * output is a tanh. The first phase reads no labels. The publication has no step size for the classifier.
 *
 * @see Krotov and Hopfield, "Unsupervised learning by competing hidden units", PNAS 116, 2019.
 * @example
 * ```ts
 * import { plasticOptimizer } from '@ghl/learner';
 * import { networks, oneHiddenSmall, powerLoss } from '@ghl/models';
 * import { krotovHopfield } from '@ghl/recipes';
 * import '@tensorflow/tfjs-backend-cpu';
 *
 * const model = oneHiddenSmall({ output: 'tanh' });
 * for (const { assign, epochs, batch } of krotovHopfield.phases) {
 *   const steps = epochs * Math.ceil(2000 / batch);
 *   const assignment = assign({ ...networks['one-hidden-small'].constants, epochs, steps });
 *   model.compile({ optimizer: plasticOptimizer(model, assignment), loss: powerLoss() });
 *   // await model.fitDataset(…, { epochs });
 *   console.log(epochs, steps);
 * }
 * // => 1000 20000
 * // => 300 6000
 * ```
 */
export const krotovHopfield: Protocol = {
  network: { output: 'tanh' },
  data: { normalise: { mean: 0, std: 1 } },
  phases: [
    {
      epochs: 1000,
      batch: 100,
      loss: 'powerLoss',
      assign({ temperatures, steps }) {
        const hidden = chain(local(maxAbs(krotov({ p: 3, rank: 7, delta: 0.4 }))), scaleBy(linear(0.04, 0, steps)));
        return { ...Object.fromEntries(Object.keys(temperatures).map((layer) => [layer, hidden])), '*': null };
      },
    },
    {
      epochs: 300,
      batch: 100,
      loss: 'powerLoss',
      assign: () => ({ classifier: chain(gradientDescent(), adam(), scaleBy(1e-3)), '*': null }),
    },
  ],
};

/** krotovHopfield by name. */
export const recipe: ProtocolRecipe = {
  name: 'krotovHopfield',
  describe: "Krotov and Hopfield's competing hidden units, then a classifier",
  protocol: krotovHopfield,
};
