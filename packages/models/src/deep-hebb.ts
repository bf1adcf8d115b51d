/** The layers of DeepHebb, for any numbers of channels. */
import { type LayersModel, layers, sequential } from '@tensorflow/tfjs-layers';
import { batchNorm } from './batch-norm.js';
import { dropout } from './dropout.js';
import { checkNetworkOptions, type NetworkOptions } from './network.js';
import { activationLayer, convolution, linear } from './parts.js';
import { seedFor } from './random.js';

/** DeepHebb's layers as a model called `name`. */
export function deepHebbLayers(
  name: string,
  [c1, c2, c3]: readonly [number, number, number],
  options: NetworkOptions,
): LayersModel {
  const { inputShape, classes, seed, activation } = checkNetworkOptions(name, options, 5);
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

function halved(size: number): number {
  return Math.ceil(size / 2);
}
