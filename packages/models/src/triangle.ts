/** The Triangle activation of Deep SoftHebb: the part of a unit's input that exceeds the mean over the channels. */
import { checkNumber } from '@ghl/core/plugin';
import * as tf from '@tensorflow/tfjs-core';
import { layers } from '@tensorflow/tfjs-layers';
import { checkLayerOptions, type LayerOptions, onlyTensor } from './layer.js';
import { rectifiedPower } from './repu.js';

/** Options of {@link triangle}, in addition to those of any layer. */
export interface TriangleOptions extends LayerOptions {
  /** The exponent, above 0. Deep SoftHebb on CIFAR-10 has 0.7, 1.4 and 1 in its three layers. Default 1. */
  power?: number;
}

/**
 * Triangle(y)_k = max(0, y_k − ȳ)^power, with ȳ the mean over the channels (the last axis).
 *
 * The gradient treats ȳ as a constant, as Deep SoftHebb's code does: power · r^(power − 1) where r = y_k − ȳ > 0, else
 * 0. For power < 1 that slope has no bound as r → 0, so r is taken as at least 1e-6 in it.
 *
 * @returns A layer from [batch, …, channels] to the same shape.
 * @throws ConfigurationError `UNKNOWN_OPTION`, `BAD_VALUE`.
 * @see Journé et al., Hebbian Deep Learning Without Feedback, ICLR 2023; Coates et al., AISTATS 2011 (power 1).
 * @example
 * ```ts
 * import { triangle } from '@ghl/models';
 * import * as tf from '@tensorflow/tfjs-core';
 * import '@tensorflow/tfjs-backend-cpu';
 *
 * const y = triangle().apply(tf.tensor2d([[1, 2, 6]])) as tf.Tensor;
 * console.log(y.arraySync());
 * // => [ [ 0, 0, 3 ] ]
 * ```
 */
export function triangle(options: TriangleOptions = {}): layers.Layer {
  checkLayerOptions('triangle', options, ['power']);
  return new Triangle(options);
}

/** The class behind {@link triangle}. */
export class Triangle extends layers.Layer {
  static readonly className = 'GhlTriangle';

  readonly #power: number;

  constructor(options: TriangleOptions) {
    super(options);
    const { power = 1 } = options;
    checkNumber('triangle.power', power, { above: 0 });
    this.#power = power;
    this.supportsMasking = true;
  }

  override call(inputs: tf.Tensor | tf.Tensor[], kwargs: object): tf.Tensor {
    this.invokeCallHook(inputs, kwargs);
    return tf.tidy(() => rectifiedPower(onlyTensor(inputs), this.#power, (y) => tf.mean(y, -1, true)));
  }

  override getConfig(): tf.serialization.ConfigDict {
    return { ...super.getConfig(), power: this.#power };
  }
}
