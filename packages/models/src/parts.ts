/** The layers that the networks share, with the initial weights of the paper's code. */
import { initializers, layers } from '@tensorflow/tfjs-layers';
import { seedFor } from './random.js';
import { triangle } from './triangle.js';

/** A convolution without bias, whose kernel starts as PyTorch's `kaiming_normal_`: N(0, 2 / fan-in). */
export function convolution(
  name: string,
  kernelSize: number,
  channels: number,
  filters: number,
  padding: 'same' | 'valid',
  seed: number,
) {
  // `heNormal` of TensorFlow.js truncates at two standard deviations; the paper's code does not truncate.
  const stddev = Math.sqrt(2 / (kernelSize ** 2 * channels));
  const kernelInitializer = initializers.randomNormal({ mean: 0, stddev, seed: seedFor(seed, `${name}/kernel`) });
  return layers.conv2d({ name, filters, kernelSize, padding, useBias: false, kernelInitializer });
}

/** ReLU, or Triangle with a power. */
export function activationLayer(name: string, activation: 'relu' | 'triangle', power: number) {
  return activation === 'relu' ? layers.reLU({ name }) : triangle({ name, power });
}

/** A dense layer whose kernel and bias start as in PyTorch's `Linear`: uniform within ±1 / √fan-in. */
export function linear(name: string, fanIn: number, units: number, seed: number, activation: 'linear' | 'softmax') {
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
