/** A convolution whose units act as if their weights had norm 1. */
import * as tf from '@tensorflow/tfjs-core';
import { type LayerVariable, layers } from '@tensorflow/tfjs-layers';
import { checkLayerOptions, type LayerOptions } from './layer.js';

type ConvolutionOptions = Parameters<typeof layers.conv2d>[0];

/** Options of {@link unitNormConv2d}, in addition to those of any layer. */
export interface UnitNormConv2dOptions extends LayerOptions {
  /** Number of units. */
  filters: number;
  /** Height and width of the kernel; one number for both. */
  kernelSize: number | [number, number];
  /** Step between positions. Default 1. */
  strides?: number | [number, number];
  /** `'same'` pads with zeros. Default `'valid'`. */
  padding?: 'valid' | 'same';
  /** As in `tf.layers.conv2d`. */
  kernelInitializer?: ConvolutionOptions['kernelInitializer'];
}

const OWN = ['filters', 'kernelSize', 'strides', 'padding', 'kernelInitializer'];

/**
 * A convolution without bias whose output is divided by the norm of each unit: z_k = (x · w_k) / (‖w_k‖ + 1e-6).
 *
 * The norm is part of the function that is differentiated, so ∂L/∂w_k is orthogonal to w_k, up to the 1e-6. The
 * division comes after the net input: a local rule of `@ghl/core` sees y_k = x · w_k, as in a stock convolution.
 *
 * @returns A layer from [batch, h, w, channels] to [batch, h′, w′, filters], a subclass of TensorFlow.js's Conv2D.
 * @throws ConfigurationError `UNKNOWN_OPTION`.
 * @see Cekic, Bakiskan and Madhow, Neuro-Inspired Deep Neural Networks with Sparse, Strong Activations, ICIP 2022.
 * @example
 * ```ts
 * import { unitNormConv2d } from '@ghl/models';
 * import * as tf from '@tensorflow/tfjs-core';
 * import * as tfl from '@tensorflow/tfjs-layers';
 * import '@tensorflow/tfjs-backend-cpu';
 *
 * const ones = tfl.initializers.ones();
 * const layer = unitNormConv2d({ filters: 1, kernelSize: 2, kernelInitializer: ones });
 * const z = layer.apply(tf.tensor4d([1, 2, 3, 4], [1, 2, 2, 1])) as tf.Tensor;
 * console.log(z.dataSync()[0]!.toFixed(3)); // => 5.000
 * ```
 */
export function unitNormConv2d(options: UnitNormConv2dOptions): layers.Layer {
  checkLayerOptions('unitNormConv2d', options, OWN);
  return new UnitNormConv2d(options);
}

/** TensorFlow.js does not export the class of its layer. The name keeps the counter of names untouched. */
const Conv2D = layers.conv2d({ name: 'any', filters: 1, kernelSize: 1 }).constructor as typeof layers.Layer &
  (new (
    options: ConvolutionOptions,
  ) => layers.Layer);

/** The parts of a Conv2D layer that TensorFlow.js does not declare. */
interface Conv2dInternals {
  readonly kernel: LayerVariable;
  activation: { apply(y: tf.Tensor): tf.Tensor; getClassName(): string };
}

/**
 * The class behind {@link unitNormConv2d}. The division is the activation of the layer, since a Conv2D applies that to
 * its net input, and so does a step that records the net input. Conv2D's `call` is unchanged.
 */
export class UnitNormConv2d extends Conv2D {
  static readonly className = 'GhlUnitNormConv2d';

  constructor(options: UnitNormConv2dOptions) {
    super({ ...options, useBias: false, activation: 'linear' });
    const layer = this as unknown as Conv2dInternals;
    layer.activation = {
      apply: (y) => divideByNorms(y, layer.kernel.read()),
      getClassName: () => 'GhlUnitNorm',
    };
  }

  override getConfig(): tf.serialization.ConfigDict {
    return { ...super.getConfig(), activation: 'linear' };
  }
}

function divideByNorms(y: tf.Tensor, kernel: tf.Tensor): tf.Tensor {
  const squares = tf.sum(tf.reshape(tf.square(kernel), [-1, kernel.shape.at(-1)!]), 0);
  // Without a least value, the gradient of the root is not finite for a unit whose weights are all 0.
  return tf.div(y, tf.add(tf.sqrt(tf.maximum(squares, 1e-24)), 1e-6));
}
