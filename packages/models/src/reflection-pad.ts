/** Reflection padding of images, whose gradient in TensorFlow.js is wrong: it drops the part of the mirrored pixels. */
import { ConfigurationError } from '@ghl/core';
import { checkNumber } from '@ghl/core/plugin';
import * as tf from '@tensorflow/tfjs-core';
import { layers } from '@tensorflow/tfjs-layers';
import { checkLayerOptions, type LayerOptions, onlyTensor } from './layer.js';

/** Options of {@link reflectionPad2d}, in addition to those of any layer. */
export interface ReflectionPad2dOptions extends LayerOptions {
  /** Pixels to add on each side, p: a whole number above 0, less than the height and the width of the image. */
  padding: number;
}

/**
 * Pads images on each side by p mirrored rows and columns. The edge itself is not repeated: with p = 2, the row a b c d
 * becomes c b a b c d c b.
 *
 * An input pixel appears several times in the output, and its gradient is the sum over these places. The gradient of
 * `tf.mirrorPad` in TensorFlow.js has one term of that sum only. A convolution after this layer is unpadded, so a local
 * rule correlates with the padded image.
 *
 * @returns A layer from [batch, h, w, channels] to [batch, h + 2p, w + 2p, channels].
 * @throws ConfigurationError `UNKNOWN_OPTION`, `BAD_VALUE`; `INPUT_TOO_SMALL` for an image of at most p rows or
 * columns.
 * @see PyTorch's `ReflectionPad2d`; Journé et al., ICLR 2023, whose convolutions are padded in this way.
 * @example
 * ```ts
 * import { reflectionPad2d } from '@ghl/models';
 * import * as tf from '@tensorflow/tfjs-core';
 * import '@tensorflow/tfjs-backend-cpu';
 *
 * const image = tf.tensor4d([1, 2, 3, 4], [1, 2, 2, 1]);
 * const padded = reflectionPad2d({ padding: 1 }).apply(image) as tf.Tensor;
 * console.log(tf.reshape(padded, [4, 4]).arraySync());
 * // => [ [ 4, 3, 4, 3 ], [ 2, 1, 2, 1 ], [ 4, 3, 4, 3 ], [ 2, 1, 2, 1 ] ]
 * ```
 */
export function reflectionPad2d(options: ReflectionPad2dOptions): layers.Layer {
  checkLayerOptions('reflectionPad2d', options, ['padding']);
  return new ReflectionPad2d(options);
}

/** The class behind {@link reflectionPad2d}. */
export class ReflectionPad2d extends layers.Layer {
  static readonly className = 'GhlReflectionPad2d';

  readonly #padding: number;

  constructor(options: ReflectionPad2dOptions) {
    super(options);
    const { padding } = options;
    checkNumber('reflectionPad2d.padding', padding, { least: 1 });
    if (!Number.isSafeInteger(padding)) {
      throw new ConfigurationError('BAD_VALUE', `reflectionPad2d.padding is ${padding}.`, 'give a whole number.');
    }
    this.#padding = padding;
  }

  override computeOutputShape(inputShape: (number | null)[]): (number | null)[] {
    const [batch, height, width, channels] = inputShape as [number, number, number, number];
    for (const size of [height, width]) {
      if (size === null || size > this.#padding) continue;
      throw new ConfigurationError(
        'INPUT_TOO_SMALL',
        `Layer '${this.name}' got images of ${height}×${width} to pad by ${this.#padding}.`,
        `a reflection needs at least ${this.#padding + 1} pixels on each axis.`,
      );
    }
    const padded = (size: number | null) => (size === null ? null : size + 2 * this.#padding);
    return [batch, padded(height), padded(width), channels];
  }

  override call(inputs: tf.Tensor | tf.Tensor[], kwargs: object): tf.Tensor {
    this.invokeCallHook(inputs, kwargs);
    const x = onlyTensor(inputs);
    this.computeOutputShape(x.shape);
    return tf.tidy(() => reflect(x, this.#padding));
  }

  override getConfig(): tf.serialization.ConfigDict {
    return { ...super.getConfig(), padding: this.#padding };
  }
}

function reflect(input: tf.Tensor, p: number): tf.Tensor {
  const pad = tf.customGrad((...args) => {
    const x = args[0] as tf.Tensor4D;
    const amounts: [number, number][] = [[0, 0], [p, p], [p, p], [0, 0]]; // biome-ignore format: one line
    return { value: tf.mirrorPad(x, amounts, 'reflect'), gradFunc: (dy: tf.Tensor) => fold(fold(dy, 1, p), 2, p) };
  });
  return pad(input);
}

/** Removes p rows at either end of an axis and adds them to the rows that they mirror. */
function fold(dy: tf.Tensor, axis: 1 | 2, p: number): tf.Tensor {
  const size = dy.shape[axis]! - 2 * p;
  const part = (begin: number, length: number) => {
    const [from, to] = [dy.shape.map(() => 0), [...dy.shape]];
    from[axis] = begin;
    to[axis] = length;
    return tf.slice(dy, from, to);
  };
  const mirrored = (begin: number, before: number) => {
    const strip = part(begin, p);
    const paddings = dy.shape.map((): [number, number] => [0, 0]);
    paddings[axis] = [before, size - p - before];
    return tf.pad(p === 1 ? strip : tf.reverse(strip, axis), paddings);
  };
  return tf.addN([part(p, size), mirrored(0, 1), mirrored(p + size, size - p - 1)]);
}
