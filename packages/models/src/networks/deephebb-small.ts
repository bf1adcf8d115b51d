/** A small DeepHebb, for tests and quick comparisons. */
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { deepHebbLayers } from '../deep-hebb.js';
import type { Network, NetworkOptions } from '../network.js';

/**
 * `deepHebb` with 8, 16 and 32 channels: 6,360 convolution weights, 1.2 million multiply-adds per image.
 *
 * @throws As `deepHebb`.
 * @example
 * ```ts
 * import { deepHebbSmall } from '@ghl/models';
 * import '@tensorflow/tfjs-backend-cpu';
 *
 * const model = deepHebbSmall({ inputShape: [32, 32, 3], classes: 10, seed: 1 });
 * console.log(model.outputShape);
 * // => [ null, 10 ]
 * ```
 */
export function deepHebbSmall(options: NetworkOptions = {}): LayersModel {
  return deepHebbLayers('deepHebbSmall', [8, 16, 32], options);
}

/** deepHebbSmall with constants of our choice, by the validation part of the glyphs. */
export const network: Network = {
  id: 'deephebb-small',
  build: deepHebbSmall,
  protocol: { epochs: 4, batch: 32 },
  constants: {
    temperatures: { conv1: 1, conv2: 1 / 0.65, conv3: 4 },
    step: 5e-2,
    decay: 1e-2,
    restStep: 5e-2,
  },
};
