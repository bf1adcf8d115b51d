/**
 * The two networks of the paper's experiments, DeepHebb and FastHebb, as its code has them, and a small variant of each
 * for tests and quick comparisons.
 */
import { ConfigurationError } from '@ghl/core';
import { checkChoice, checkOptions } from '@ghl/core/plugin';
import { initializers, type LayersModel, layers, sequential } from '@tensorflow/tfjs-layers';
import { batchNorm } from './batch-norm.js';
import { checkSeed, dropout } from './dropout.js';
import { seedFor } from './random.js';
import { triangle } from './triangle.js';

/** Options of every network of this package. */
export interface NetworkOptions {
  /** Height, width and channels of an image. Default [32, 32, 3]. */
  readonly inputShape?: readonly [height: number, width: number, channels: number];
  /** Number of classes. Default 10. */
  readonly classes?: number;
  /** What the initial weights and the dropout masks follow from: any whole number. Default 0. */
  readonly seed?: number;
  /** What follows a convolution: ReLU, as in the paper's code, or Triangle, as in its text. Default 'relu'. */
  readonly activation?: 'relu' | 'triangle';
}

/** A function that builds a network. */
export type NetworkBuilder = (options?: NetworkOptions) => LayersModel;

/**
 * DeepHebb: 5,647,392 convolution weights (7,200 + 331,776 + 5,308,416) and, for ten classes, a classifier of 245,770.
 *
 *     bn1 conv1 (96, 5×5) activation1 pool1 (max 4, stride 2)
 *     bn2 conv2 (384, 3×3) activation2 pool2 (max 4, stride 2)
 *     bn3 conv3 (1536, 3×3) activation3 pool3 (average 2)
 *     flatten dropout (0.5) classifier
 *
 * Convolutions keep the image's size (zero padding), have no bias, and start as PyTorch's `kaiming_normal_`:
 * N(0, 2 / fan-in). `classifier` starts as PyTorch's `Linear`, kernel and bias uniform within ±1 / √fan-in, and ends in
 * a softmax: compile with `'categoricalCrossentropy'`, which is PyTorch's `CrossEntropyLoss` of the logits but that
 * TensorFlow.js clips probabilities to [1e-7, 1 − 1e-7], beyond which an example has no gradient. The batch norms have
 * neither scale nor shift. With Triangle, the powers are Deep SoftHebb's 0.7, 1.4 and 1.
 *
 * For an image of even size, 'same' pools of 4 with stride 2 are PyTorch's with padding 1; for an odd one they keep one
 * more row and column.
 *
 * @throws ConfigurationError `UNKNOWN_OPTION`, `BAD_VALUE`; `INPUT_TOO_SMALL` below 5×5.
 * @see Hebbian Learning with Global Direction, ICASSP 2026, and its code, `DeepHebb.py`; Journé et al., ICLR 2023.
 */
export function deepHebb(options: NetworkOptions = {}): LayersModel {
  return deep('deepHebb', [96, 384, 1536], options);
}

/**
 * {@link deepHebb} with 8, 16 and 32 channels: 6,360 convolution weights, 1.2 million multiply-adds an image.
 *
 * @throws As {@link deepHebb}.
 */
export function deepHebbSmall(options: NetworkOptions = {}): LayersModel {
  return deep('deepHebbSmall', [8, 16, 32], options);
}

/**
 * FastHebb: 781,344 convolution weights (7,200 + 110,592 + 221,184 + 442,368), 9,441,280 in `fc5` for a 32×32 image,
 * and a classifier of 40,970 for ten classes.
 *
 *     conv1 (96, 5×5) activation1 pool1 (max 2) bn1
 *     conv2 (128, 3×3) activation2 bn2
 *     conv3 (192, 3×3) activation3 pool3 (max 2) bn3
 *     conv4 (256, 3×3) activation4 bn4
 *     flatten fc5 (4096) activation5 (ReLU) bn5 (with scale and shift) dropout (0.5) classifier
 *
 * Convolutions are unpadded and have no bias. Initial weights and the softmax are as in {@link deepHebb}, `fc5` as
 * `classifier`. With Triangle, the power is 1 after every convolution.
 *
 * @throws ConfigurationError `UNKNOWN_OPTION`, `BAD_VALUE`; `INPUT_TOO_SMALL` below 24×24.
 * @see Hebbian Learning with Global Direction, ICASSP 2026, and its code, `FastHebb.py`; Lagani et al., FastHebb.
 */
export function fastHebb(options: NetworkOptions = {}): LayersModel {
  return fast('fastHebb', [96, 128, 192, 256], 4096, options);
}

/**
 * {@link fastHebb} with 8, 16, 16 and 32 channels and 64 units in `fc5`: 8,664 convolution weights, 0.9 million
 * multiply-adds an image.
 *
 * @throws As {@link fastHebb}.
 */
export function fastHebbSmall(options: NetworkOptions = {}): LayersModel {
  return fast('fastHebbSmall', [8, 16, 16, 32], 64, options);
}

/** Every network of this package under its name on the command line. */
export const networks: Readonly<Record<string, NetworkBuilder>> = {
  deephebb: deepHebb,
  'deephebb-small': deepHebbSmall,
  fasthebb: fastHebb,
  'fasthebb-small': fastHebbSmall,
};

function deep(name: string, [c1, c2, c3]: readonly [number, number, number], options: NetworkOptions): LayersModel {
  const { inputShape, classes, seed, activation } = checked(name, options, 5);
  const [height, width, channels] = inputShape;
  const features = Math.floor(halved(halved(height)) / 2) * Math.floor(halved(halved(width)) / 2) * c3;
  return sequential({
    name,
    layers: [
      batchNorm({ name: 'bn1', inputShape: [...inputShape] }),
      convolution('conv1', 5, channels, c1, 'same', seed),
      activationLayer('activation1', activation, 0.7),
      layers.maxPooling2d({ name: 'pool1', poolSize: 4, strides: 2, padding: 'same' }),
      batchNorm({ name: 'bn2' }),
      convolution('conv2', 3, c1, c2, 'same', seed),
      activationLayer('activation2', activation, 1.4),
      layers.maxPooling2d({ name: 'pool2', poolSize: 4, strides: 2, padding: 'same' }),
      batchNorm({ name: 'bn3' }),
      convolution('conv3', 3, c2, c3, 'same', seed),
      activationLayer('activation3', activation, 1),
      layers.averagePooling2d({ name: 'pool3', poolSize: 2 }),
      layers.flatten({ name: 'flatten' }),
      dropout({ name: 'dropout', rate: 0.5, seed: seedFor(seed, 'dropout') }),
      linear('classifier', features, classes, seed, 'softmax'),
    ],
  });
}

function fast(
  name: string,
  [c1, c2, c3, c4]: readonly [number, number, number, number],
  hidden: number,
  options: NetworkOptions,
): LayersModel {
  const { inputShape, classes, seed, activation } = checked(name, options, 24);
  const [height, width, channels] = inputShape;
  const left = (size: number) => Math.floor((Math.floor((size - 4) / 2) - 4) / 2) - 2;
  return sequential({
    name,
    layers: [
      layers.inputLayer({ name: 'input', inputShape: [...inputShape] }),
      convolution('conv1', 5, channels, c1, 'valid', seed),
      activationLayer('activation1', activation, 1),
      layers.maxPooling2d({ name: 'pool1', poolSize: 2 }),
      batchNorm({ name: 'bn1' }),
      convolution('conv2', 3, c1, c2, 'valid', seed),
      activationLayer('activation2', activation, 1),
      batchNorm({ name: 'bn2' }),
      convolution('conv3', 3, c2, c3, 'valid', seed),
      activationLayer('activation3', activation, 1),
      layers.maxPooling2d({ name: 'pool3', poolSize: 2 }),
      batchNorm({ name: 'bn3' }),
      convolution('conv4', 3, c3, c4, 'valid', seed),
      activationLayer('activation4', activation, 1),
      batchNorm({ name: 'bn4' }),
      layers.flatten({ name: 'flatten' }),
      linear('fc5', left(height) * left(width) * c4, hidden, seed, 'linear'),
      layers.reLU({ name: 'activation5' }),
      batchNorm({ name: 'bn5', center: true, scale: true }),
      dropout({ name: 'dropout', rate: 0.5, seed: seedFor(seed, 'dropout') }),
      linear('classifier', hidden, classes, seed, 'softmax'),
    ],
  });
}

function halved(size: number): number {
  return Math.ceil(size / 2);
}

function convolution(
  name: string,
  kernelSize: number,
  channels: number,
  filters: number,
  padding: 'same' | 'valid',
  seed: number,
) {
  // TensorFlow.js's heNormal is truncated at two standard deviations; the paper's code draws from the whole bell.
  const stddev = Math.sqrt(2 / (kernelSize ** 2 * channels));
  const kernelInitializer = initializers.randomNormal({ mean: 0, stddev, seed: seedFor(seed, `${name}/kernel`) });
  return layers.conv2d({ name, filters, kernelSize, padding, useBias: false, kernelInitializer });
}

function activationLayer(name: string, activation: 'relu' | 'triangle', power: number) {
  return activation === 'relu' ? layers.reLU({ name }) : triangle({ name, power });
}

function linear(name: string, fanIn: number, units: number, seed: number, activation: 'linear' | 'softmax') {
  const bound = 1 / Math.sqrt(fanIn);
  const uniform = (weight: string) =>
    initializers.randomUniform({ minval: -bound, maxval: bound, seed: seedFor(seed, `${name}/${weight}`) });
  return layers.dense({
    name,
    units,
    activation,
    kernelInitializer: uniform('kernel'),
    biasInitializer: uniform('bias'),
  });
}

function checked(network: string, options: NetworkOptions, least: number): Required<NetworkOptions> {
  checkOptions(network, options, ['inputShape', 'classes', 'seed', 'activation']);
  const { inputShape = [32, 32, 3], classes = 10, seed = 0, activation = 'relu' } = options;
  const isSize = (value: unknown) => Number.isSafeInteger(value) && (value as number) > 0;
  if (!Array.isArray(inputShape) || inputShape.length !== 3 || !inputShape.every(isSize)) {
    throw new ConfigurationError(
      'BAD_VALUE',
      `${network}.inputShape is ${JSON.stringify(inputShape)}.`,
      'give [height, width, channels], three whole numbers above 0.',
    );
  }
  if (Math.min(inputShape[0], inputShape[1]) < least) {
    throw new ConfigurationError(
      'INPUT_TOO_SMALL',
      `${network} got images of ${inputShape[0]}×${inputShape[1]}.`,
      `its layers need at least ${least}×${least}.`,
    );
  }
  if (!isSize(classes) || classes < 2) {
    throw new ConfigurationError(
      'BAD_VALUE',
      `${network}.classes is ${String(classes)}.`,
      'give a whole number of at least 2.',
    );
  }
  checkSeed(`${network}.seed`, seed);
  checkChoice(`${network}.activation`, activation, ['relu', 'triangle']);
  return { inputShape, classes, seed, activation };
}
