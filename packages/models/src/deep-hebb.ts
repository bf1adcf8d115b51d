/** The layers of DeepHebb, for any numbers of channels. */
import { type LayersModel, layers, sequential } from '@tensorflow/tfjs-layers';
import { batchNorm } from './batch-norm.js';
import { dropout } from './dropout.js';
import { checkNetworkOptions, type NetworkOptions } from './network.js';
import { activationLayer, classifierLayer, paddedConvolution } from './parts.js';
import { seedFor } from './random.js';

/** DeepHebb's layers as a model called `name`. */
export function deepHebbLayers(
  name: string,
  [c1, c2, c3]: readonly [number, number, number],
  options: NetworkOptions,
): LayersModel {
  const settings = checkNetworkOptions(name, options, 5);
  const { inputShape, seed } = settings;
  const [height, width, channels] = inputShape;
  const features = Math.floor(halved(halved(height)) / 2) * Math.floor(halved(halved(width)) / 2) * c3;
  return sequential({
    name,
    layers: [
      batchNorm({ name: 'bn1', inputShape: [...inputShape] }),
      ...paddedConvolution(1, { kernelSize: 5, channels, filters: c1 }, settings),
      activationLayer('activation1', settings, 0.7),
      layers.maxPooling2d({ name: 'pool1', poolSize: 4, strides: 2, padding: 'same' }),
      batchNorm({ name: 'bn2' }),
      ...paddedConvolution(2, { kernelSize: 3, channels: c1, filters: c2 }, settings),
      activationLayer('activation2', settings, 1.4),
      layers.maxPooling2d({ name: 'pool2', poolSize: 4, strides: 2, padding: 'same' }),
      batchNorm({ name: 'bn3' }),
      ...paddedConvolution(3, { kernelSize: 3, channels: c2, filters: c3 }, settings),
      activationLayer('activation3', settings, 1),
      layers.averagePooling2d({ name: 'pool3', poolSize: 2 }),
      layers.flatten({ name: 'flatten' }),
      dropout({ name: 'dropout', rate: settings.dropout, seed: seedFor(seed, 'dropout') }),
      classifierLayer(features, settings),
    ],
  });
}

function halved(size: number): number {
  return Math.ceil(size / 2);
}
