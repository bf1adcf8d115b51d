/** FastHebb's soft winner-take-all in its protocol. */
import { fastSwta } from '@ghl/rule-wta';
import { fastHebbProtocol } from '../fast-hebb-protocol.js';
import type { Protocol, ProtocolRecipe } from '../recipe.js';

/**
 * FastHebb's soft winner-take-all in its protocol, on the layers of `fastHebb`: 20 epochs of `local(fastSwta())` for
 * every hidden layer, without labels, then 20 epochs of the classifier. The images are whitened. In the code, the
 * output of a unit is x·w / ‖w‖ and not x·w.
 *
 * @see Lagani et al., "FastHebb", SISAP 2022, and its code.
 * @example
 * ```ts
 * import { plasticOptimizer } from '@ghl/learner';
 * import { fastHebbSmall, networks } from '@ghl/models';
 * import { swtaFastHebb } from '@ghl/recipes';
 * import '@tensorflow/tfjs-backend-cpu';
 *
 * const model = fastHebbSmall({ inputShape: [32, 32, 3], classes: 10, ...swtaFastHebb.network });
 * for (const { assign, epochs, batch } of swtaFastHebb.phases) {
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
export const swtaFastHebb: Protocol = fastHebbProtocol(fastSwta(), { scale: 'standardised', whiten: 'zca' });

/** swtaFastHebb by name. */
export const recipe: ProtocolRecipe = {
  name: 'swtaFastHebb',
  describe: "FastHebb's soft winner-take-all in its protocol, then a classifier",
  protocol: swtaFastHebb,
};
