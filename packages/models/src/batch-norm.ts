/**
 * Batch normalisation as in PyTorch, which the layer of TensorFlow.js cannot do. Scale and shift are optional, the
 * moving statistics hold the unbiased variance, and a frozen layer does not change.
 */
import { ConfigurationError } from '@ghl/core';
import { BATCH_NORM, BATCH_NORM_GRADIENT, hasKernel } from '@ghl/core/backend';
import { checkBoolean, checkNumber } from '@ghl/core/plugin';
import * as tf from '@tensorflow/tfjs-core';
import { initializers, type LayerVariable, layers } from '@tensorflow/tfjs-layers';
import { checkLayerOptions, type LayerOptions, onlyTensor, trains } from './layer.js';

/** Options of {@link batchNorm}, in addition to those of any layer. */
export interface BatchNormOptions extends LayerOptions {
  /** ε, added to the variance. Default 1e-5. */
  epsilon?: number;
  /** Share of the old moving statistics that a step keeps (TensorFlow.js's convention), in [0, 1]. Default 0.9. */
  momentum?: number;
  /** Whether to learn a shift per channel, `beta`, from 0. Default false. */
  center?: boolean;
  /** Whether to learn a scale per channel, `gamma`, from 1. Default false. */
  scale?: boolean;
}

/**
 * Batch normalisation over all axes but the last: y = (x − μ) / √(σ² + ε), then optionally · gamma and + beta.
 *
 * In training, μ and σ² are the batch's mean and biased variance of each channel over the P positions (batch × space).
 * The moving statistics take m ← momentum · m + (1 − momentum) · value, where the value is μ and the *unbiased*
 * variance σ² · P / (P − 1). If P = 1 there is no such variance, and the moving variance stays. At inference, and if
 * `trainable` is false, the moving statistics replace μ and σ² and do not change.
 *
 * Weights: `gamma`, `beta` (if any), `moving_mean` and `moving_variance`, each [channels]; the last two are not
 * trainable, and are saved with the model.
 *
 * @returns A layer from [batch, …, channels] to the same shape.
 * @throws ConfigurationError `UNKNOWN_OPTION`, `BAD_VALUE`; `UNKNOWN_CHANNELS` when built on a last axis of no known
 * size.
 * @see Ioffe and Szegedy, Batch Normalization, ICML 2015; PyTorch's `BatchNorm2d(affine=False)`.
 * @example
 * ```ts
 * import { batchNorm } from '@ghl/models';
 * import * as tfl from '@tensorflow/tfjs-layers';
 * import '@tensorflow/tfjs-backend-cpu';
 *
 * const model = tfl.sequential({ layers: [batchNorm({ inputShape: [8, 8, 3] })] });
 * console.log(model.outputShape);
 * // => [ null, 8, 8, 3 ]
 * ```
 */
export function batchNorm(options: BatchNormOptions = {}): layers.Layer {
  checkLayerOptions('batchNorm', options, ['epsilon', 'momentum', 'center', 'scale']);
  return new BatchNorm(options);
}

/** The class behind {@link batchNorm}. */
export class BatchNorm extends layers.Layer {
  static readonly className = 'GhlBatchNorm';

  readonly #epsilon: number;
  readonly #momentum: number;
  readonly #center: boolean;
  readonly #scale: boolean;
  #gamma: LayerVariable | undefined;
  #beta: LayerVariable | undefined;
  #movingMean!: LayerVariable;
  #movingVariance!: LayerVariable;

  constructor(options: BatchNormOptions) {
    super(options);
    const { epsilon = 1e-5, momentum = 0.9, center = false, scale = false } = options;
    checkNumber('batchNorm.epsilon', epsilon, { above: 0 });
    checkNumber('batchNorm.momentum', momentum, { least: 0, most: 1 });
    checkBoolean('batchNorm.center', center);
    checkBoolean('batchNorm.scale', scale);
    this.#epsilon = epsilon;
    this.#momentum = momentum;
    this.#center = center;
    this.#scale = scale;
    this.supportsMasking = true;
  }

  override build(inputShape: (number | null)[]): void {
    const channels = inputShape.at(-1);
    if (channels == null) {
      throw new ConfigurationError(
        'UNKNOWN_CHANNELS',
        `Layer '${this.name}' is built on [${inputShape}].`,
        'give the last axis of the input a size.',
      );
    }
    const zeros = initializers.zeros();
    const ones = initializers.ones();
    const shape = [channels];
    if (this.#scale) this.#gamma = this.addWeight('gamma', shape, 'float32', ones);
    if (this.#center) this.#beta = this.addWeight('beta', shape, 'float32', zeros);
    this.#movingMean = this.addWeight('moving_mean', shape, 'float32', zeros, undefined, false);
    this.#movingVariance = this.addWeight('moving_variance', shape, 'float32', ones, undefined, false);
    this.built = true;
  }

  override call(inputs: tf.Tensor | tf.Tensor[], kwargs: { training?: boolean }): tf.Tensor {
    return tf.tidy(() => {
      const x = onlyTensor(inputs);
      this.invokeCallHook(inputs, kwargs);
      let y = trains(this, kwargs) ? this.#normaliseByBatch(x) : this.#normaliseByMoving(x);
      if (this.#gamma !== undefined) y = tf.mul(y, this.#gamma.read());
      if (this.#beta !== undefined) y = tf.add(y, this.#beta.read());
      return y;
    });
  }

  override getConfig(): tf.serialization.ConfigDict {
    return {
      ...super.getConfig(),
      epsilon: this.#epsilon,
      momentum: this.#momentum,
      center: this.#center,
      scale: this.#scale,
    };
  }

  #normaliseByMoving(x: tf.Tensor): tf.Tensor {
    const deviation = tf.sqrt(tf.add(this.#movingVariance.read(), this.#epsilon));
    return tf.div(tf.sub(x, this.#movingMean.read()), deviation);
  }

  #normaliseByBatch(input: tf.Tensor): tf.Tensor {
    const normalise = tf.customGrad((...args) => {
      const [x, save] = args as [tf.Tensor, tf.GradSaveFunc];
      const [value, mean, variance, precision] = normalised(x, this.#epsilon);
      this.#moveStatistics(mean, variance, x.size / mean.size);
      save([value, precision]);
      const gradFunc = (dy: tf.Tensor, saved: tf.Tensor[]) => gradientOf(dy, ...(saved as [tf.Tensor, tf.Tensor]));
      return { value, gradFunc };
    });
    return normalise(input);
  }

  #moveStatistics(mean: tf.Tensor, variance: tf.Tensor, positions: number): void {
    const move = (moving: LayerVariable, value: tf.Tensor) =>
      moving.write(tf.add(tf.mul(moving.read(), this.#momentum), tf.mul(value, 1 - this.#momentum)));
    move(this.#movingMean, mean);
    if (positions > 1) move(this.#movingVariance, tf.mul(variance, positions / (positions - 1)));
  }
}

/** y = (x − μ)·ρ, the batch's mean μ and biased variance σ² of each channel, and ρ = 1 / √(σ² + ε). */
function normalised(x: tf.Tensor, epsilon: number): [tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor] {
  if (hasKernel(BATCH_NORM)) {
    return tf.engine().runKernel(BATCH_NORM, { x }, { epsilon }) as never;
  }
  const mean = meanOverPositions(x);
  const centred = tf.sub(x, mean);
  const variance = meanOverPositions(tf.square(centred));
  const precision = tf.rsqrt(tf.add(variance, epsilon));
  return [tf.mul(centred, precision), mean, variance, precision];
}

/** ∂L/∂x = (∂L/∂y − ⟨∂L/∂y⟩ − y · ⟨∂L/∂y · y⟩) · ρ, with ⟨·⟩ the mean over positions. */
function gradientOf(dy: tf.Tensor, y: tf.Tensor, precision: tf.Tensor): tf.Tensor {
  if (hasKernel(BATCH_NORM_GRADIENT)) {
    return tf.engine().runKernel(BATCH_NORM_GRADIENT, { dy, y, precision }) as tf.Tensor;
  }
  const along = tf.mul(y, meanOverPositions(tf.mul(dy, y)));
  return tf.mul(tf.sub(tf.sub(dy, meanOverPositions(dy)), along), precision);
}

/**
 * The mean of [batch, …, channels] over all axes but the last, as the mean over the batch of the means over space.
 * Average pools rather than `tf.mean`, which transposes first; and a sum in two stages has smaller rounding errors.
 */
function meanOverPositions(x: tf.Tensor): tf.Tensor1D {
  const batch = x.shape[0]!;
  const channels = x.shape.at(-1)!;
  const positions = x.size / (batch * channels);
  let mean = tf.reshape(x, [batch, positions, 1, channels]) as tf.Tensor4D;
  if (positions > 1) mean = tf.avgPool(mean, [positions, 1], 1, 'valid');
  if (batch > 1) mean = tf.avgPool(tf.reshape(mean, [1, batch, 1, channels]) as tf.Tensor4D, [batch, 1], 1, 'valid');
  return tf.reshape(mean, [channels]);
}
