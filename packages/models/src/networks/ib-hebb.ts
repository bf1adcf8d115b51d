/** The convolutional network on which IB-Hebb was published. */
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { ibHebbLayers } from '../ib-hebb-layers.js';
import type { ImageOptions, Network } from '../network.js';

/**
 * The network of IB-Hebb for CIFAR-10, 462,602 weights (3,584 + 295,168 + 163,850):
 *
 *     conv1 (128, 3×3) activation1 norm1 pool1 (average 2)
 *     conv2 (256, 3×3) activation2 norm2 pool2 (average 2)
 *     flatten classifier
 *
 * Convolutions keep the image's size (zero padding) and have a bias. Kernels start as Flax's `lecun_normal`, biases at
 * 0. `norm1` and `norm2` are layer normalisations over the channels of a position, without scale and shift. Their
 * outputs are the activities that the information bottleneck is defined on. The last layer is a softmax: compile with
 * `'categoricalCrossentropy'`.
 *
 * @throws ConfigurationError `UNKNOWN_OPTION`, `BAD_VALUE`; `INPUT_TOO_SMALL` below 4×4.
 * @see Daruwalla and Lipasti, Information bottleneck-based Hebbian learning rule naturally ties working memory and
 * synaptic updates, Frontiers in Computational Neuroscience 18, 2024, and its code.
 * @example
 * ```ts
 * import { ibHebb } from '@ghl/models';
 * import '@tensorflow/tfjs-backend-cpu';
 *
 * const model = ibHebb({ inputShape: [32, 32, 3], classes: 10, seed: 1 });
 * console.log(model.countParams());
 * // => 462602
 * ```
 */
export function ibHebb(options: ImageOptions = {}): LayersModel {
  return ibHebbLayers('ibHebb', [128, 256], options);
}

/** ibHebb with constants of our choice. The epochs are those of its authors. */
export const network: Network = {
  id: 'ib-hebb',
  build: ibHebb,
  protocol: { epochs: 50, batch: 64 },
  constants: { temperatures: { conv1: 1, conv2: 1 }, step: 1e-2, decay: 1e-2, restStep: 1e-2 },
};
