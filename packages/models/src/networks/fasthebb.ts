/** FastHebb, the smaller network of the paper, as its code has it. */
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { fastHebbLayers } from '../fast-hebb.js';
import type { Network, NetworkOptions } from '../network.js';

/**
 * FastHebb: 781,344 convolution weights (7,200 + 110,592 + 221,184 + 442,368), 9,441,280 in `fc5` for a 32×32 image,
 * and a classifier of 40,970 for ten classes.
 *
 *     conv1 (96, 5×5) activation1 pool1 (max 2) bn1
 *     conv2 (128, 3×3) activation2 bn2
 *     conv3 (192, 3×3) activation3 pool3 (max 2) bn3
 *     conv4 (256, 3×3) activation4 bn4
 *     flatten fc5 (4096) activation5 (ReLU) bn5 (with scale and shift) dropout (0.5) classifier
 *
 * Convolutions are unpadded and have no bias. Initial weights and the softmax are as in `deepHebb`, `fc5` as
 * `classifier`. With Triangle and RePU, the power is 1 after every convolution, so RePU is
 * ReLU.
 *
 * @throws ConfigurationError `UNKNOWN_OPTION`, `BAD_VALUE`; `INPUT_TOO_SMALL` below 24×24.
 * @see Hebbian Learning with Global Direction, ICASSP 2026, and its code, `FastHebb.py`; Lagani et al., FastHebb.
 * @example
 * ```ts
 * import { fastHebb } from '@ghl/models';
 * import '@tensorflow/tfjs-backend-cpu';
 *
 * const model = fastHebb({ inputShape: [32, 32, 3], classes: 10, seed: 1 });
 * console.log(model.outputShape);
 * // => [ null, 10 ]
 * ```
 */
export function fastHebb(options: NetworkOptions = {}): LayersModel {
  return fastHebbLayers('fastHebb', [96, 128, 192, 256], 4096, options);
}

/** fastHebb with the constants, the protocol and the results of the paper. */
export const network: Network = {
  id: 'fasthebb',
  build: fastHebb,
  protocol: { epochs: 100, batch: 64 },
  constants: {
    temperatures: { conv1: 1, conv2: 1, conv3: 1, conv4: 1 },
    step: 5e-2,
    decay: 1e-2,
    restStep: 1e-4,
  },
  published: {
    source: 'Hebbian Learning with Global Direction (ICASSP 2026, arXiv 2601.21367), tables 1 and 5',
    accuracy: { cifar10: { ghl: 0.8396, backprop: 0.8471, signOnly: 0.7339 } },
  },
};
