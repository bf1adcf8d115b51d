/** The layers of FastHebb, for any numbers of channels and hidden units. */
import { type LayersModel, layers, sequential } from '@tensorflow/tfjs-layers';
import { batchNorm } from './batch-norm.js';
import { dropout } from './dropout.js';
import { checkNetworkOptions, type NetworkOptions } from './network.js';
import { activationLayer, classifierLayer, convolution, linear } from './parts.js';
import { seedFor } from './random.js';

/** FastHebb's layers as a model called `name`. */
export function fastHebbLayers(
  name: string,
  [c1, c2, c3, c4]: readonly [number, number, number, number],
  hidden: number,
  options: NetworkOptions,
): LayersModel {
  const settings = checkNetworkOptions(name, options, 24);
  const { inputShape, seed } = settings;
  const [height, width, channels] = inputShape;
  const left = (size: number) => Math.floor((Math.floor((size - 4) / 2) - 4) / 2) - 2;
  return sequential({
    name,
    layers: [
      layers.inputLayer({ name: 'input', inputShape: [...inputShape] }),
      convolution('conv1', { kernelSize: 5, channels, filters: c1 }, settings),
      activationLayer('activation1', settings, 1),
      layers.maxPooling2d({ name: 'pool1', poolSize: 2 }),
      batchNorm({ name: 'bn1' }),
      convolution('conv2', { kernelSize: 3, channels: c1, filters: c2 }, settings),
      activationLayer('activation2', settings, 1),
      batchNorm({ name: 'bn2' }),
      convolution('conv3', { kernelSize: 3, channels: c2, filters: c3 }, settings),
      activationLayer('activation3', settings, 1),
      layers.maxPooling2d({ name: 'pool3', poolSize: 2 }),
      batchNorm({ name: 'bn3' }),
      convolution('conv4', { kernelSize: 3, channels: c3, filters: c4 }, settings),
      activationLayer('activation4', settings, 1),
      batchNorm({ name: 'bn4' }),
      layers.flatten({ name: 'flatten' }),
      linear('fc5', left(height) * left(width) * c4, hidden, seed),
      layers.reLU({ name: 'activation5' }),
      batchNorm({ name: 'bn5', center: true, scale: true }),
      dropout({ name: 'dropout', rate: settings.dropout, seed: seedFor(seed, 'dropout') }),
      classifierLayer(hidden, settings),
    ],
  });
}
