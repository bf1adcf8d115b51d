/** HPCA in FastHebb's protocol: Hebbian layers first, then a classifier on top of them. */
import { chain, decayWeights, gradientDescent, local, momentum, scaleBy } from '@ghl/core';
import { hpca } from '@ghl/rule-hpca';
import { byEpoch, type Protocol, type ProtocolRecipe } from '../recipe.js';

const each = <T>(names: readonly string[], value: T) => Object.fromEntries(names.map((name) => [name, value]));

/** The layers of `fastHebb` that learn by the rule. */
const HEBBIAN = ['conv1', 'conv2', 'conv3', 'conv4', 'fc5'];

/**
 * HPCA on the layers of `fastHebb`: 20 epochs of `local(hpca({ activation: 'relu', scaleByFanIn: true }))` at step 1e-2
 * for every hidden layer, then 20 epochs of the classifier and of the batch norm before its dropout. These descend the
 * gradient with Nesterov's momentum 0.9, weight decay 5e-4 and step 1e-3, which halves in each epoch from the middle of
 * the phase. Batches of 64. The Hebbian phase reads no labels.
 *
 * @see Lagani et al., "FastHebb", SISAP 2022, and its code.
 * @example
 * ```ts
 * import { plasticOptimizer } from '@ghl/learner';
 * import { fastHebbSmall, networks } from '@ghl/models';
 * import { hpcaFastHebb } from '@ghl/recipes';
 * import '@tensorflow/tfjs-backend-cpu';
 *
 * const model = fastHebbSmall({ inputShape: [32, 32, 3], classes: 10 });
 * for (const { assign, epochs, batch } of hpcaFastHebb.phases) {
 *   const steps = epochs * Math.ceil(2000 / batch);
 *   const assignment = assign({ ...networks['fasthebb-small'].constants, epochs, steps });
 *   model.compile({ optimizer: plasticOptimizer(model, assignment), loss: 'categoricalCrossentropy' });
 *   // await model.fitDataset(…, { epochs });
 *   console.log(epochs, steps);
 * }
 * // => 20 640
 * // => 20 640
 * ```
 */
export const hpcaFastHebb: Protocol = {
  phases: [
    {
      epochs: 20,
      batch: 64,
      assign: () => ({
        ...each(HEBBIAN, chain(local(hpca({ activation: 'relu', scaleByFanIn: true })), scaleBy(1e-2))),
        ...each(['fc5/bias', 'bn5', 'classifier'], null),
      }),
    },
    {
      epochs: 20,
      batch: 64,
      assign: (options) => {
        const step = byEpoch(options, (epoch, epochs) => 1e-3 * 0.5 ** Math.max(0, epoch + 1 - Math.ceil(epochs / 2)));
        const head = chain(gradientDescent(), decayWeights(5e-4), momentum({ nesterov: true }), scaleBy(step));
        return { ...each([...HEBBIAN, 'bn1', 'bn2', 'bn3', 'bn4'], null), ...each(['bn5', 'classifier'], head) };
      },
    },
  ],
};

/** hpcaFastHebb by name. */
export const recipe: ProtocolRecipe = {
  name: 'hpcaFastHebb',
  describe: "Hebbian PCA in FastHebb's protocol, then a classifier",
  protocol: hpcaFastHebb,
};
