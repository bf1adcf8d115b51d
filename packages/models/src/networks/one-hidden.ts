/** A network with one hidden layer, as Krotov and Hopfield trained it on MNIST. */
import type { LayersModel } from '@tensorflow/tfjs-layers';
import type { Network } from '../network.js';
import { type OneHiddenOptions, oneHiddenLayers } from '../one-hidden-layers.js';

/**
 * A hidden layer of 2,000 units: 1,568,000 weights for an image of 28×28, and a classifier of 20,000.
 *
 *     flatten hidden (2000) activation (RePU) classifier (10) beta output
 *
 * No layer has a bias. The weights of `hidden` start as N(0, 1), those of `classifier` uniform within ±1 / √2000. The
 * output units are tanh(β · o) or softmax(β · o), with o = S · h the net input from the hidden activities h.
 *
 * `output: 'tanh'` is the published network, with n = 4.5 and β = 0.01: compile it with `powerLoss()`. With a softmax,
 * n = 1 and β = 1: compile it with `'categoricalCrossentropy'`, as all other networks.
 *
 * @throws ConfigurationError `UNKNOWN_OPTION`, `BAD_VALUE`.
 * @see Krotov and Hopfield, Unsupervised learning by competing hidden units, PNAS 116, 2019.
 * @example
 * ```ts
 * import { oneHidden, powerLoss } from '@ghl/models';
 * import '@tensorflow/tfjs-backend-cpu';
 *
 * const model = oneHidden({ seed: 1, output: 'tanh' });
 * model.compile({ optimizer: 'adam', loss: powerLoss({ power: 6 }) });
 * console.log(model.countParams());
 * // => 1588000
 * ```
 */
export function oneHidden(options: OneHiddenOptions = {}): LayersModel {
  return oneHiddenLayers('oneHidden', 2000, options);
}

/** oneHidden with constants of our choice. */
export const network: Network = {
  id: 'one-hidden',
  build: oneHidden,
  protocol: { epochs: 20, batch: 100 },
  constants: { temperatures: { hidden: 1 }, step: 2e-2, decay: 0, restStep: 1e-3 },
};
