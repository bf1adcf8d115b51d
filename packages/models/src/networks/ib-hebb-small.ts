/** A small network of IB-Hebb, for tests and quick comparisons. */
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { ibHebbLayers } from '../ib-hebb-layers.js';
import type { ImageOptions, Network } from '../network.js';

/**
 * `ibHebb` with 16 and 32 channels, the default of its authors' code: 5,088 convolution weights and biases.
 *
 * @throws As `ibHebb`.
 * @example
 * ```ts
 * import { ibHebbSmall } from '@ghl/models';
 * import '@tensorflow/tfjs-backend-cpu';
 *
 * const model = ibHebbSmall({ inputShape: [16, 16, 3], classes: 10, seed: 1 });
 * console.log(model.getLayer('conv2').countParams());
 * // => 4640
 * ```
 */
export function ibHebbSmall(options: ImageOptions = {}): LayersModel {
  return ibHebbLayers('ibHebbSmall', [16, 32], options);
}

/** ibHebbSmall with constants of our choice. */
export const network: Network = {
  id: 'ib-hebb-small',
  build: ibHebbSmall,
  protocol: { epochs: 4, batch: 32 },
  constants: { temperatures: { conv1: 1, conv2: 1 }, step: 5e-2, decay: 1e-2, restStep: 5e-2 },
};
