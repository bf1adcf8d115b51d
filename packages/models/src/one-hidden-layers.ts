/** The layers of a network with one hidden layer, for any number of units. */
import { checkChoice, checkNumber } from '@ghl/core/plugin';
import { initializers, type LayersModel, layers, sequential } from '@tensorflow/tfjs-layers';
import { checkImageOptions, type ImageOptions } from './network.js';
import { uniformStart } from './parts.js';
import { seedFor } from './random.js';
import { repu } from './repu.js';

/** Options of `oneHidden` and `oneHiddenSmall`. */
export interface OneHiddenOptions extends ImageOptions {
  /** Height, width and channels of an image. Default [28, 28, 1]. */
  readonly inputShape?: readonly [height: number, width: number, channels: number];
  /** Exponent n of the activation of the hidden units, above 0. Default: 4.5 for tanh, 1 for a softmax. */
  readonly power?: number;
  /** β, the factor of the net input of the output units, above 0. Default: 0.01 for tanh, 1 for a softmax. */
  readonly beta?: number;
  /** Activation of the output units: a softmax, or tanh, as in the publication. Default 'softmax'. */
  readonly output?: 'softmax' | 'tanh';
}

/** A hidden layer of `units` as a model called `name`. */
export function oneHiddenLayers(name: string, units: number, options: OneHiddenOptions): LayersModel {
  const { inputShape, classes, seed } = checkImageOptions(name, options, 1, {
    inputShape: [28, 28, 1],
    own: ['power', 'beta', 'output'],
  });
  const { output = 'softmax' } = options;
  const { power, beta } = { ...(output === 'tanh' ? { power: 4.5, beta: 0.01 } : { power: 1, beta: 1 }), ...options };
  checkNumber(`${name}.power`, power, { above: 0 });
  checkNumber(`${name}.beta`, beta, { above: 0 });
  checkChoice(`${name}.output`, output, ['softmax', 'tanh']);
  const normal = initializers.randomNormal({ mean: 0, stddev: 1, seed: seedFor(seed, 'hidden/kernel') });
  const { kernelInitializer } = uniformStart('classifier', units, seed);
  return sequential({
    name,
    layers: [
      layers.flatten({ name: 'flatten', inputShape: [...inputShape] }),
      layers.dense({ name: 'hidden', units, useBias: false, kernelInitializer: normal }),
      repu({ name: 'activation', power }),
      layers.dense({ name: 'classifier', units: classes, useBias: false, kernelInitializer }),
      layers.rescaling({ name: 'beta', scale: beta }),
      layers.activation({ name: 'output', activation: output }),
    ],
  });
}
