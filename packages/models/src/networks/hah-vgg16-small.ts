/** A narrow VGG-16 of HaH, for tests and quick comparisons. */
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { hahVggLayers } from '../hah-vgg-layers.js';
import type { ImageOptions, Network } from '../network.js';

/**
 * `hahVgg16` with an eighth of the channels: 8, 8, 16, 16, 32 ×3 and 64 ×6; 230,040 convolution weights.
 *
 * @throws As `hahVgg16`.
 * @example
 * ```ts
 * import { hahVgg16Small } from '@ghl/models';
 * import '@tensorflow/tfjs-backend-cpu';
 *
 * const model = hahVgg16Small({ inputShape: [32, 32, 3], classes: 10, seed: 1 });
 * console.log(model.outputShape);
 * // => [ null, 10 ]
 * ```
 */
export function hahVgg16Small(options: ImageOptions = {}): LayersModel {
  return hahVggLayers('hahVgg16Small', 8, options);
}

/** hahVgg16Small with constants of our choice. */
export const network: Network = {
  id: 'hah-vgg16-small',
  build: hahVgg16Small,
  protocol: { epochs: 4, batch: 32 },
  constants: {
    temperatures: { conv1: 1, conv2: 1, conv3: 1, conv4: 1, conv5: 1, conv6: 1 },
    step: 5e-2,
    decay: 1e-2,
    restStep: 5e-2,
  },
};
