/** DeepHebb, the larger network of the paper, as its code has it. */
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { deepHebbLayers } from '../deep-hebb.js';
import type { Network, NetworkOptions } from '../network.js';

/**
 * DeepHebb: 5,647,392 convolution weights (7,200 + 331,776 + 5,308,416) and, for ten classes, a classifier of 245,770.
 *
 *     bn1 conv1 (96, 5×5) activation1 pool1 (max 4, stride 2)
 *     bn2 conv2 (384, 3×3) activation2 pool2 (max 4, stride 2)
 *     bn3 conv3 (1536, 3×3) activation3 pool3 (average 2)
 *     flatten dropout (0.5) classifier
 *
 * Convolutions keep the image's size, have no bias, and start as PyTorch's `kaiming_normal_`: N(0, 2 / fan-in). With
 * `padding: 'reflect'`, the layers `pad1`, `pad2` and `pad3` precede them. `classifier` starts as PyTorch's `Linear`,
 * kernel and bias uniform within ±1 / √fan-in, and ends in a softmax. Compile with `'categoricalCrossentropy'`, which
 * equals PyTorch's `CrossEntropyLoss` of the logits, except that TensorFlow.js clips probabilities to [1e-7, 1 − 1e-7];
 * a clipped example has no gradient. The batch norms have neither scale nor shift. With Triangle and RePU, the powers
 * are Deep SoftHebb's 0.7, 1.4 and 1.
 *
 * Deep SoftHebb on CIFAR-10 has `activation: 'triangle'`, `padding: 'reflect'`, `radius: 25`, `classifier: 'positive'`,
 * and images that are divided by 255.
 *
 * For an image of even size, 'same' pools of 4 with stride 2 are PyTorch's with padding 1; for an odd one they keep one
 * more row and column.
 *
 * @throws ConfigurationError `UNKNOWN_OPTION`, `BAD_VALUE`; `INPUT_TOO_SMALL` below 5×5.
 * @see Hebbian Learning with Global Direction, ICASSP 2026, and its code, `DeepHebb.py`; Journé et al., ICLR 2023.
 * @example
 * ```ts
 * import { deepHebb } from '@ghl/models';
 * import '@tensorflow/tfjs-backend-cpu';
 *
 * const model = deepHebb({ inputShape: [32, 32, 3], classes: 10, seed: 1 });
 * console.log(model.outputShape);
 * // => [ null, 10 ]
 * ```
 */
export function deepHebb(options: NetworkOptions = {}): LayersModel {
  return deepHebbLayers('deepHebb', [96, 384, 1536], options);
}

/** deepHebb with the constants, the protocol and the results of the paper. */
export const network: Network = {
  id: 'deephebb',
  build: deepHebb,
  protocol: { epochs: 100, batch: 64 },
  constants: {
    temperatures: { conv1: 1, conv2: 1 / 0.65, conv3: 4 },
    step: 1e-2,
    decay: 5e-2,
    restStep: 5e-3,
  },
  published: {
    source: 'Hebbian Learning with Global Direction (ICASSP 2026, arXiv 2601.21367), tables 1 and 5',
    accuracy: { cifar10: { ghl: 0.8641, backprop: 0.8698, signOnly: 0.8101 } },
  },
};
