/** The layers that the networks share, with the initial weights of published code. */
import { initializers, layers } from '@tensorflow/tfjs-layers';
import type { NetworkSettings } from './network.js';
import { seedFor } from './random.js';
import { reflectionPad2d } from './reflection-pad.js';
import { repu } from './repu.js';
import { triangle } from './triangle.js';

/** The size of a convolution. */
export interface ConvolutionShape {
  readonly kernelSize: number;
  readonly channels: number;
  readonly filters: number;
}

/**
 * A convolution without padding or bias. Its kernel starts as N(0, radius² / fan-in), so that a unit has weights of
 * about that norm. By default that is PyTorch's `kaiming_normal_`, N(0, 2 / fan-in).
 */
export function convolution(
  name: string,
  { kernelSize, channels, filters }: ConvolutionShape,
  { seed, radius }: NetworkSettings,
  padding: 'same' | 'valid' = 'valid',
) {
  // `heNormal` of TensorFlow.js truncates at two standard deviations; the published code does not truncate.
  const stddev = Math.sqrt((radius === undefined ? 2 : radius ** 2) / (kernelSize ** 2 * channels));
  const kernelInitializer = initializers.randomNormal({ mean: 0, stddev, seed: seedFor(seed, `${name}/kernel`) });
  return layers.conv2d({ name, filters, kernelSize, padding, useBias: false, kernelInitializer });
}

/** A convolution that keeps the image's size: padded by zeros, or after a layer that pads by reflection. */
export function paddedConvolution(index: number, shape: ConvolutionShape, settings: NetworkSettings): layers.Layer[] {
  const name = `conv${index}`;
  if (settings.padding === 'zero') return [convolution(name, shape, settings, 'same')];
  const pad = reflectionPad2d({ name: `pad${index}`, padding: (shape.kernelSize - 1) / 2 });
  return [pad, convolution(name, shape, settings)];
}

/** The activation of the options, with a power if it has one. */
export function activationLayer(name: string, { activation }: NetworkSettings, power: number) {
  if (activation === 'relu') return layers.reLU({ name });
  return activation === 'triangle' ? triangle({ name, power }) : repu({ name, power });
}

/** A dense layer whose kernel and bias start as in PyTorch's `Linear`: uniform within ±1 / √fan-in. */
export function linear(name: string, fanIn: number, units: number, seed: number) {
  return layers.dense({ name, units, ...uniformStart(name, fanIn, seed) });
}

/** The last layer: a softmax over the classes, or its logits. */
export function classifierLayer(fanIn: number, { classes, classifier, logits, seed }: NetworkSettings) {
  const name = 'classifier';
  const start = uniformStart(name, fanIn, seed);
  if (classifier === 'positive') {
    // TensorFlow.js takes a `minval` of 0 for a missing one, and draws from −0.05.
    const [minval, maxval] = [Number.MIN_VALUE, Math.sqrt(300 / fanIn)];
    start.kernelInitializer = initializers.randomUniform({ minval, maxval, seed: seedFor(seed, `${name}/kernel`) });
  }
  const activation = logits ? 'linear' : 'softmax';
  return layers.dense({ name, units: classes, activation, ...start });
}

/** The initial kernel and bias of PyTorch's `Linear`. */
export function uniformStart(name: string, fanIn: number, seed: number) {
  const bound = 1 / Math.sqrt(fanIn);
  const uniform = (weight: string) =>
    initializers.randomUniform({ minval: -bound, maxval: bound, seed: seedFor(seed, `${name}/${weight}`) });
  return { kernelInitializer: uniform('kernel'), biasInitializer: uniform('bias') };
}
