/** The layers of the convolutional network of IB-Hebb, for any numbers of channels. */
import { initializers, type LayersModel, layers, sequential } from '@tensorflow/tfjs-layers';
import { layerNorm } from './layer-norm.js';
import { checkImageOptions, type ImageOptions } from './network.js';
import { seedFor } from './random.js';

/** IB-Hebb's layers as a model called `name`. */
export function ibHebbLayers(name: string, filters: readonly number[], options: ImageOptions): LayersModel {
  const { inputShape, classes, seed } = checkImageOptions(name, options, 4);
  const [height, width, channels] = inputShape;
  const scale = 2 ** filters.length;
  const features = Math.floor(height / scale) * Math.floor(width / scale) * filters.at(-1)!;
  const start = (layer: string, fanIn: number) => ({
    // Flax draws from a normal distribution cut at two standard deviations, and corrects its width to 1 / √fan-in.
    kernelInitializer: initializers.truncatedNormal({
      mean: 0,
      stddev: Math.sqrt(1 / fanIn) / 0.87962566103423978,
      seed: seedFor(seed, `${layer}/kernel`),
    }),
  });
  return sequential({
    name,
    layers: [
      layers.inputLayer({ name: 'input', inputShape: [...inputShape] }),
      ...filters.flatMap((count, i) => [
        layers.conv2d({
          name: `conv${i + 1}`,
          filters: count,
          kernelSize: 3,
          padding: 'same',
          ...start(`conv${i + 1}`, 9 * (filters[i - 1] ?? channels)),
        }),
        layers.reLU({ name: `activation${i + 1}` }),
        layerNorm({ name: `norm${i + 1}` }),
        layers.averagePooling2d({ name: `pool${i + 1}`, poolSize: 2 }),
      ]),
      layers.flatten({ name: 'flatten' }),
      layers.dense({ name: 'classifier', units: classes, activation: 'softmax', ...start('classifier', features) }),
    ],
  });
}
