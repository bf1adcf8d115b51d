/** HPCA in FastHebb's protocol. */
import { hpca } from '@ghl/rule-hpca';
import { fastHebbProtocol } from '../fast-hebb-protocol.js';
import type { Protocol, ProtocolRecipe } from '../recipe.js';

/**
 * HPCA in FastHebb's protocol, on the layers of `fastHebb`: 20 epochs of
 * `local(hpca({ activation: 'relu', scaleByFanIn: true }))` for every hidden layer, without labels, then 20 epochs of
 * the classifier. Each channel of the images has mean 0 and standard deviation 1. The code also trains the scale and
 * shift of the convolutions' batch norms, which our network lacks.
 *
 * @see Lagani et al., "FastHebb", SISAP 2022, and its code.
 * @example
 * ```ts
 * import { plasticOptimizer } from '@ghl/learner';
 * import { fastHebbSmall, networks } from '@ghl/models';
 * import { hpcaFastHebb } from '@ghl/recipes';
 * import '@tensorflow/tfjs-backend-cpu';
 *
 * const model = fastHebbSmall({ inputShape: [32, 32, 3], classes: 10, ...hpcaFastHebb.network });
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
export const hpcaFastHebb: Protocol = fastHebbProtocol(hpca({ activation: 'relu', scaleByFanIn: true }), {
  scale: 'standardised',
});

/** hpcaFastHebb by name. */
export const recipe: ProtocolRecipe = {
  name: 'hpcaFastHebb',
  describe: "Hebbian PCA in FastHebb's protocol, then a classifier",
  protocol: hpcaFastHebb,
};
