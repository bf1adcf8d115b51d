/** Divisive normalisation: units of one image inhibit their neighbours. */
import { checkNumber } from '@ghl/core/plugin';
import * as tf from '@tensorflow/tfjs-core';
import { layers } from '@tensorflow/tfjs-layers';
import { checkLayerOptions, type LayerOptions, onlyTensor } from './layer.js';

/** Options of {@link divisiveNorm}, in addition to those of any layer. */
export interface DivisiveNormOptions extends LayerOptions {
  /** σ, the weight of the strongest field of the image against the local one, in [0, 1]. Default 0.1. */
  sigma?: number;
}

/**
 * Divides each position of an image by its suppressive field: z = o / (σ · max f + (1 − σ) · f + 1e-7).
 *
 * The field f of a position is the mean over the channels of the largest abs(o) in the 3 × 3 positions around it. The
 * maximum is over the positions of one image. Neighbours often have the same field, so the gradient of that maximum is
 * shared equally among the positions that have it.
 *
 * @returns A layer from [batch, h, w, channels] to the same shape.
 * @throws ConfigurationError `UNKNOWN_OPTION`, `BAD_VALUE`.
 * @see Cekic, Bakiskan and Madhow, Neuro-Inspired Deep Neural Networks with Sparse, Strong Activations, ICIP 2022.
 * @example
 * ```ts
 * import { divisiveNorm } from '@ghl/models';
 * import * as tf from '@tensorflow/tfjs-core';
 * import '@tensorflow/tfjs-backend-cpu';
 *
 * const z = divisiveNorm().apply(tf.tensor4d([3, 1], [1, 1, 1, 2])) as tf.Tensor; // the field is 2
 * console.log(Array.from(z.dataSync(), (each) => each.toFixed(2)).join()); // => 1.50,0.50
 * ```
 */
export function divisiveNorm(options: DivisiveNormOptions = {}): layers.Layer {
  checkLayerOptions('divisiveNorm', options, ['sigma']);
  return new DivisiveNorm(options);
}

/** The class behind {@link divisiveNorm}. */
export class DivisiveNorm extends layers.Layer {
  static readonly className = 'GhlDivisiveNorm';

  readonly #sigma: number;

  constructor(options: DivisiveNormOptions) {
    super(options);
    const { sigma = 0.1 } = options;
    checkNumber('divisiveNorm.sigma', sigma, { least: 0, most: 1 });
    this.#sigma = sigma;
  }

  override call(inputs: tf.Tensor | tf.Tensor[], kwargs: object): tf.Tensor {
    this.invokeCallHook(inputs, kwargs);
    return tf.tidy(() => {
      const o = onlyTensor(inputs) as tf.Tensor4D;
      const field = tf.mean(tf.maxPool(tf.abs(o), 3, 1, 'same'), -1, true);
      const strongest = maxOverImage(field);
      const divisor = tf.add(tf.mul(strongest, this.#sigma), tf.mul(field, 1 - this.#sigma));
      return tf.div(o, tf.add(divisor, 1e-7));
    });
  }

  override getConfig(): tf.serialization.ConfigDict {
    return { ...super.getConfig(), sigma: this.#sigma };
  }
}

/** The maximum over the positions of each image. That of TensorFlow.js passes the whole gradient to each of several. */
function maxOverImage(input: tf.Tensor): tf.Tensor {
  const run = tf.customGrad((...args) => {
    const [field, save] = args as [tf.Tensor, tf.GradSaveFunc];
    const value = tf.max(field, [1, 2], true);
    const mask = tf.cast(tf.equal(field, value), 'float32');
    save([mask]);
    const gradFunc = (dy: tf.Tensor, [places]: tf.Tensor[]) =>
      tf.mul(places!, tf.div(dy, tf.sum(places!, [1, 2], true)));
    return { value, gradFunc };
  });
  return run(input);
}
