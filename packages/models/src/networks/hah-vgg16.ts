/** The VGG-16 of HaH, whose first six convolutions compete. */
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { hahVggLayers } from '../hah-vgg-layers.js';
import type { ImageOptions, Network } from '../network.js';

/**
 * The VGG-16 of HaH for CIFAR-10: 14,710,464 convolution weights, 6,656 of scale and shift, and a classifier of 5,130
 * for ten classes. `conv1` to `conv6` are `unitNormConv2d`s, each in a block of four layers; the other seven are stock.
 *
 *     conv1 … conv6:  unitNormConv2d, ReLU, divisiveNorm, topFraction
 *     conv7 … conv13: convolution, ReLU, batch norm with scale and shift
 *
 * The widths are 64, 64, 128, 128, 256 ×3, 512 ×6, with a max pool of 2 after conv2, 4, 7, 10 and 13. Convolutions are
 * 3×3, keep the image's size (zero padding), have no bias, and start uniform within ±1 / √fan-in, as in PyTorch. The
 * last layer is a softmax: compile with `'categoricalCrossentropy'`.
 *
 * @throws ConfigurationError `UNKNOWN_OPTION`, `BAD_VALUE`; `INPUT_TOO_SMALL` below 32×32.
 * @see Cekic, Bakiskan and Madhow, Neuro-Inspired Deep Neural Networks with Sparse, Strong Activations, ICIP 2022, and
 * its code.
 * @example
 * ```ts
 * import { hahVgg16Small } from '@ghl/models';
 * import '@tensorflow/tfjs-backend-cpu';
 *
 * const model = hahVgg16Small(); // hahVgg16() is the same with 64 times as many weights
 * console.log(model.getLayer('conv6').getClassName(), model.getLayer('conv7').getClassName());
 * // => GhlUnitNormConv2d Conv2D
 * ```
 */
export function hahVgg16(options: ImageOptions = {}): LayersModel {
  return hahVggLayers('hahVgg16', 64, options);
}

/** hahVgg16 with constants of our choice. Epochs and batch size are those of its authors. */
export const network: Network = {
  id: 'hah-vgg16',
  build: hahVgg16,
  protocol: { epochs: 100, batch: 128 },
  constants: {
    temperatures: { conv1: 1, conv2: 1, conv3: 1, conv4: 1, conv5: 1, conv6: 1 },
    step: 1e-2,
    decay: 1e-2,
    restStep: 1e-2,
  },
};
