/** A small network with one hidden layer, for tests and quick comparisons. */
import type { LayersModel } from '@tensorflow/tfjs-layers';
import type { Network } from '../network.js';
import { type OneHiddenOptions, oneHiddenLayers } from '../one-hidden-layers.js';

/**
 * `oneHidden` with 100 hidden units, as many as in the notebook of Krotov and Hopfield: 78,400 weights for an image of
 * 28×28, and a classifier of 1,000.
 *
 * @throws As `oneHidden`.
 * @example
 * ```ts
 * import { oneHiddenSmall } from '@ghl/models';
 * import '@tensorflow/tfjs-backend-cpu';
 *
 * console.log(oneHiddenSmall({ inputShape: [28, 28, 1] }).countParams());
 * // => 79400
 * ```
 */
export function oneHiddenSmall(options: OneHiddenOptions = {}): LayersModel {
  return oneHiddenLayers('oneHiddenSmall', 100, options);
}

/** oneHiddenSmall with constants of our choice. */
export const network: Network = {
  id: 'one-hidden-small',
  build: oneHiddenSmall,
  protocol: { epochs: 4, batch: 32 },
  constants: { temperatures: { hidden: 1 }, step: 2e-2, decay: 0, restStep: 1e-3 },
};
