/** The rectified power unit: a power of the positive part. */
import { checkNumber } from '@ghl/core/plugin';
import * as tf from '@tensorflow/tfjs-core';
import { layers } from '@tensorflow/tfjs-layers';
import { checkLayerOptions, type LayerOptions, onlyTensor } from './layer.js';

/** Options of {@link repu}, in addition to those of any layer. */
export interface RepuOptions extends LayerOptions {
  /** The exponent n, above 0. Krotov and Hopfield have 4.5 on MNIST. Default 1, which is ReLU. */
  power?: number;
}

/**
 * RePU(y) = max(0, y)^n.
 *
 * The gradient is n · y^(n − 1) where y > 0, else 0. For n < 1 that slope has no bound as y → 0, so y is taken as at
 * least 1e-6 in it.
 *
 * @returns A layer from any shape to the same shape.
 * @throws ConfigurationError `UNKNOWN_OPTION`, `BAD_VALUE`.
 * @see Krotov and Hopfield, Unsupervised learning by competing hidden units, PNAS 116, 2019.
 * @example
 * ```ts
 * import { repu } from '@ghl/models';
 * import * as tf from '@tensorflow/tfjs-core';
 * import '@tensorflow/tfjs-backend-cpu';
 *
 * const y = repu({ power: 2 }).apply(tf.tensor2d([[-1, 0, 3]])) as tf.Tensor;
 * console.log(y.arraySync());
 * // => [ [ 0, 0, 9 ] ]
 * ```
 */
export function repu(options: RepuOptions = {}): layers.Layer {
  checkLayerOptions('repu', options, ['power']);
  return new Repu(options);
}

/** The class behind {@link repu}. */
export class Repu extends layers.Layer {
  static readonly className = 'GhlRepu';

  readonly #power: number;

  constructor(options: RepuOptions) {
    super(options);
    const { power = 1 } = options;
    checkNumber('repu.power', power, { above: 0 });
    this.#power = power;
    this.supportsMasking = true;
  }

  override call(inputs: tf.Tensor | tf.Tensor[], kwargs: object): tf.Tensor {
    this.invokeCallHook(inputs, kwargs);
    return tf.tidy(() => rectifiedPower(onlyTensor(inputs), this.#power));
  }

  override getConfig(): tf.serialization.ConfigDict {
    return { ...super.getConfig(), power: this.#power };
  }
}

/**
 * max(0, y − c)^power.
 *
 * @param centre Computes c from y. The gradient treats c as a constant. Default: c = 0.
 */
export function rectifiedPower(input: tf.Tensor, power: number, centre?: (y: tf.Tensor) => tf.Tensor): tf.Tensor {
  const activate = tf.customGrad((...args) => {
    const [y, save] = args as [tf.Tensor, tf.GradSaveFunc];
    const excess = tf.relu(centre === undefined ? y : tf.sub(y, centre(y)));
    save([excess]);
    const gradFunc = (dy: tf.Tensor, saved: tf.Tensor[]) => {
      const r = saved[0]!;
      const passed = tf.mul(dy, tf.step(r));
      return power === 1 ? passed : tf.mul(passed, tf.mul(tf.pow(tf.maximum(r, 1e-6), power - 1), power));
    };
    return { value: power === 1 ? excess : tf.pow(excess, power), gradFunc };
  });
  return activate(input);
}
