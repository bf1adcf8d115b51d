/** Layer normalisation without scale and shift, whose gradient TensorFlow.js lacks. */
import { checkNumber } from '@ghl/core/plugin';
import * as tf from '@tensorflow/tfjs-core';
import { layers } from '@tensorflow/tfjs-layers';
import { checkLayerOptions, type LayerOptions, onlyTensor } from './layer.js';

/** Options of {@link layerNorm}, in addition to those of any layer. */
export interface LayerNormOptions extends LayerOptions {
  /** ε, added to the variance. Default 1e-6. */
  epsilon?: number;
}

/**
 * Layer normalisation over the last axis: y = (x − μ) / √(σ² + ε), with the mean and the biased variance of the
 * channels of one position. It has no weights, and is the same in training and at inference.
 *
 * The layer of TensorFlow.js throws in the backward pass if it has neither scale nor shift.
 *
 * @returns A layer from [batch, …, channels] to the same shape.
 * @throws ConfigurationError `UNKNOWN_OPTION`, `BAD_VALUE`.
 * @see Ba, Kiros and Hinton, Layer normalization, arXiv 1607.06450; Flax's `LayerNorm(use_bias=False,
 * use_scale=False)`.
 * @example
 * ```ts
 * import { layerNorm } from '@ghl/models';
 * import * as tf from '@tensorflow/tfjs-core';
 * import '@tensorflow/tfjs-backend-cpu';
 *
 * const y = layerNorm().apply(tf.tensor2d([[1, 3]])) as tf.Tensor;
 * console.log(Array.from(y.dataSync(), Math.round).join()); // => -1,1
 * ```
 */
export function layerNorm(options: LayerNormOptions = {}): layers.Layer {
  checkLayerOptions('layerNorm', options, ['epsilon']);
  return new LayerNorm(options);
}

/** The class behind {@link layerNorm}. */
export class LayerNorm extends layers.Layer {
  static readonly className = 'GhlLayerNorm';

  readonly #epsilon: number;

  constructor(options: LayerNormOptions) {
    super(options);
    const { epsilon = 1e-6 } = options;
    checkNumber('layerNorm.epsilon', epsilon, { above: 0 });
    this.#epsilon = epsilon;
    this.supportsMasking = true;
  }

  override call(inputs: tf.Tensor | tf.Tensor[], kwargs: object): tf.Tensor {
    this.invokeCallHook(inputs, kwargs);
    return tf.tidy(() => normalise(onlyTensor(inputs), this.#epsilon));
  }

  override getConfig(): tf.serialization.ConfigDict {
    return { ...super.getConfig(), epsilon: this.#epsilon };
  }
}

function normalise(input: tf.Tensor, epsilon: number): tf.Tensor {
  const mean = (t: tf.Tensor) => tf.mean(t, -1, true);
  const run = tf.customGrad((...args) => {
    const [x, save] = args as [tf.Tensor, tf.GradSaveFunc];
    const centred = tf.sub(x, mean(x));
    const precision = tf.rsqrt(tf.add(mean(tf.square(centred)), epsilon));
    const value = tf.mul(centred, precision);
    save([value, precision]);
    // ∂L/∂x = (∂L/∂y − ⟨∂L/∂y⟩ − y · ⟨∂L/∂y · y⟩) · ρ, with ⟨·⟩ the mean over the channels.
    const gradFunc = (dy: tf.Tensor, [y, rho]: tf.Tensor[]) =>
      tf.mul(tf.sub(tf.sub(dy, mean(dy)), tf.mul(y!, mean(tf.mul(dy, y!)))), rho!);
    return { value, gradFunc };
  });
  return run(input);
}
