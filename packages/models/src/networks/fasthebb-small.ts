/** A small FastHebb, for tests and quick comparisons. */
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { fastHebbLayers } from '../fast-hebb.js';
import type { Network, NetworkOptions } from '../network.js';

/**
 * `fastHebb` with 8, 16, 16 and 32 channels and 64 units in `fc5`: 8,664 convolution weights, 0.9 million multiply-adds
 * per image.
 *
 * @throws As `fastHebb`.
 * @example
 * ```ts
 * import { fastHebbSmall } from '@ghl/models';
 * import '@tensorflow/tfjs-backend-cpu';
 *
 * const model = fastHebbSmall({ inputShape: [32, 32, 3], classes: 10, seed: 1 });
 * console.log(model.outputShape);
 * // => [ null, 10 ]
 * ```
 */
export function fastHebbSmall(options: NetworkOptions = {}): LayersModel {
  return fastHebbLayers('fastHebbSmall', [8, 16, 16, 32], 64, options);
}

/** fastHebbSmall with constants of our choice, by the validation part of the glyphs. */
export const network: Network = {
  id: 'fasthebb-small',
  build: fastHebbSmall,
  protocol: { epochs: 4, batch: 32 },
  constants: {
    temperatures: { conv1: 1, conv2: 1, conv3: 1, conv4: 1 },
    step: 5e-2,
    decay: 1e-2,
    restStep: 1e-1,
  },
};
