/** The layers of HaH's VGG-16, for any width. */
import { initializers, type LayersModel, layers, sequential } from '@tensorflow/tfjs-layers';
import { batchNorm } from './batch-norm.js';
import { divisiveNorm } from './divisive-norm.js';
import { checkImageOptions, type ImageOptions } from './network.js';
import { uniformStart } from './parts.js';
import { seedFor } from './random.js';
import { topFraction } from './top-fraction.js';
import { unitNormConv2d } from './unit-norm-conv.js';

/** Channels of the convolutions, in units of the width, and the five pools. */
const PLAN = [1, 1, 'pool', 2, 2, 'pool', 4, 4, 4, 'pool', 8, 8, 8, 'pool', 8, 8, 8, 'pool'] as const;

/** The number of convolutions that learn locally too. */
const HEBBIAN = 6;

/** The layers as a model called `name`. `width` is the number of channels of the first convolution. */
export function hahVggLayers(name: string, width: number, options: ImageOptions): LayersModel {
  const { inputShape, classes, seed } = checkImageOptions(name, options, 32);
  let channels = inputShape[2];
  let [convolutions, pools] = [0, 0];
  const body = PLAN.flatMap((part): layers.Layer[] => {
    if (part === 'pool') {
      pools++;
      return [layers.maxPooling2d({ name: `pool${pools}`, poolSize: 2 })];
    }
    const i = ++convolutions;
    const bound = 1 / Math.sqrt(9 * channels);
    const convolution = {
      name: `conv${i}`,
      filters: part * width,
      kernelSize: 3,
      padding: 'same' as const,
      kernelInitializer: initializers.randomUniform({
        minval: -bound,
        maxval: bound,
        seed: seedFor(seed, `conv${i}/kernel`),
      }),
    };
    channels = part * width;
    const activation = layers.reLU({ name: `activation${i}` });
    return i <= HEBBIAN
      ? [unitNormConv2d(convolution), activation, divisiveNorm({ name: `norm${i}` }), topFraction({ name: `top${i}` })]
      : [
          layers.conv2d({ ...convolution, useBias: false }),
          activation,
          batchNorm({ name: `bn${i}`, center: true, scale: true }),
        ];
  });
  const features = Math.floor(inputShape[0] / 32) * Math.floor(inputShape[1] / 32) * channels;
  return sequential({
    name,
    layers: [
      layers.inputLayer({ name: 'input', inputShape: [...inputShape] }),
      ...body,
      layers.flatten({ name: 'flatten' }),
      layers.dense({
        name: 'classifier',
        units: classes,
        activation: 'softmax',
        ...uniformStart('classifier', features, seed),
      }),
    ],
  });
}
