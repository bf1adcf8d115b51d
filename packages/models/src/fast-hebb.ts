/** The layers of FastHebb, for any numbers of channels and hidden units. */
import { type LayersModel, layers, sequential } from '@tensorflow/tfjs-layers';
import { batchNorm } from './batch-norm.js';
import { dropout } from './dropout.js';
import { checkNetworkOptions, type NetworkOptions } from './network.js';
import { activationLayer, convolution, linear } from './parts.js';
import { seedFor } from './random.js';

/** FastHebb's layers as a model called `name`. */
export function fastHebbLayers(
  name: string,
  [c1, c2, c3, c4]: readonly [number, number, number, number],
  hidden: number,
  options: NetworkOptions,
): LayersModel {
  const { inputShape, classes, seed, activation } = checkNetworkOptions(name, options, 24);
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
