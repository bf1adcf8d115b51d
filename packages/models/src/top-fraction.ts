/** A threshold that only the strongest responses of each channel pass. */
import { checkNumber } from '@ghl/core/plugin';
import * as tf from '@tensorflow/tfjs-core';
import { layers } from '@tensorflow/tfjs-layers';
import { checkLayerOptions, type LayerOptions, onlyTensor } from './layer.js';

/** Options of {@link topFraction}, in addition to those of any layer. */
export interface TopFractionOptions extends LayerOptions {
  /** Share of the positions that pass, above 0 and at most 1. Default 0.2. */
  fraction?: number;
}

/**
 * Sets all but the largest values of each channel of each image to 0. Of n positions, the values above the
 * ⌊(1 − fraction) · n⌋-th smallest pass: 52 of 256 for a fraction of 0.2. Values equal to that threshold do not pass.
 *
 * The gradient passes where the value passes, and treats the threshold as a constant.
 *
 * @returns A layer from [batch, h, w, channels] to the same shape.
 * @throws ConfigurationError `UNKNOWN_OPTION`, `BAD_VALUE`.
 * @see Cekic, Bakiskan and Madhow, Neuro-Inspired Deep Neural Networks with Sparse, Strong Activations, ICIP 2022.
 * @example
 * ```ts
 * import { topFraction } from '@ghl/models';
 * import * as tf from '@tensorflow/tfjs-core';
 * import '@tensorflow/tfjs-backend-cpu';
 *
 * const y = topFraction({ fraction: 0.5 }).apply(tf.tensor4d([4, 1, 3, 2], [1, 2, 2, 1])) as tf.Tensor;
 * console.log(Array.from(y.dataSync()).join()); // => 4,0,3,0
 * ```
 */
export function topFraction(options: TopFractionOptions = {}): layers.Layer {
  checkLayerOptions('topFraction', options, ['fraction']);
  return new TopFraction(options);
}

/** The class behind {@link topFraction}. */
export class TopFraction extends layers.Layer {
  static readonly className = 'GhlTopFraction';

  readonly #fraction: number;

  constructor(options: TopFractionOptions) {
    super(options);
    const { fraction = 0.2 } = options;
    checkNumber('topFraction.fraction', fraction, { above: 0, most: 1 });
    this.#fraction = fraction;
  }

  override call(inputs: tf.Tensor | tf.Tensor[], kwargs: object): tf.Tensor {
    this.invokeCallHook(inputs, kwargs);
    const x = onlyTensor(inputs) as tf.Tensor4D;
    const positions = x.shape[1] * x.shape[2];
    const suppressed = Math.floor((1 - this.#fraction) * positions);
    return suppressed === 0 ? x : tf.tidy(() => passTop(x, positions - suppressed + 1));
  }

  override getConfig(): tf.serialization.ConfigDict {
    return { ...super.getConfig(), fraction: this.#fraction };
  }
}

/** Keeps the values of each channel that exceed its `rank`-th largest. */
function passTop(input: tf.Tensor4D, rank: number): tf.Tensor {
  const pass = tf.customGrad((...args) => {
    const [x, save] = args as [tf.Tensor4D, tf.GradSaveFunc];
    const [batch, height, width, channels] = x.shape;
    const byChannel = tf.transpose(tf.reshape(x, [batch, height * width, channels]), [0, 2, 1]);
    const { values } = tf.topk(byChannel, rank);
    const threshold = tf.slice(values, [0, 0, rank - 1], [batch, channels, 1]);
    const mask = tf.cast(tf.greater(x, tf.reshape(threshold, [batch, 1, 1, channels])), 'float32');
    save([mask]);
    return { value: tf.mul(x, mask), gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) => tf.mul(dy, saved[0]!) };
  });
  return pass(input);
}
