/** The connection of a layer: how its kernel maps its input to its net input. */
import { UnsupportedError } from '@ghl/core';
import {
  type Connection,
  type ConvolutionOptions,
  conv1d,
  conv2d,
  dense,
  depthwiseConv2d,
  unitsOfWeight,
} from '@ghl/core/engine';
import type { Units } from '@ghl/core/plugin';
import * as tfl from '@tensorflow/tfjs-layers';
import { internalsOf, kernelOf, type LayerCall, partsOf, variableOf } from './internals.js';
import type { ModelLayer, ModelWeight } from './model-layers.js';

type Kind = Connection['kind'];

const ANY = { name: 'any', units: 1, filters: 1, kernelSize: 1 };
const transposed = tfl.layers.conv2dTranspose(ANY).constructor;

/** The layer classes that have a connection, and their stock forward passes at the time this module was loaded. */
const families = (
  [
    ['dense', tfl.layers.dense(ANY)],
    ['conv1d', tfl.layers.conv1d(ANY)],
    ['conv2d', tfl.layers.conv2d(ANY)],
    ['depthwiseConv2d', tfl.layers.depthwiseConv2d(ANY)],
  ] as [Kind, tfl.layers.Layer][]
).map(([kind, layer]) => {
  const { constructor: layerClass, call, getConfig } = layer;
  return { kind, layerClass, call: call as LayerCall, getConfig };
});

/** The family of a layer by its class, inherited or not; null if it has none. */
function familyOf(layer: tfl.layers.Layer): (typeof families)[number] | null {
  if (layer instanceof transposed) return null;
  return families.find(({ layerClass }) => layer instanceof layerClass) ?? null;
}

/** Whether the class of a layer is one that has a connection. */
export function hasFamily(layer: tfl.layers.Layer): boolean {
  return familyOf(layer) !== null;
}

/** The original of each overriding call, so that a nested step can find a layer's own call. */
export const originalOf = new WeakMap<LayerCall, LayerCall>();

/** Whether a layer runs the stock forward pass of its family, not one of a subclass or of the user. */
function isStock(layer: tfl.layers.Layer): boolean {
  let call = layer.call as LayerCall;
  for (let own = originalOf.get(call); own !== undefined; own = originalOf.get(call)) call = own;
  return call === familyOf(layer)?.call;
}

const makers: { readonly [K in Kind]: (shape: number[], options: ConvolutionOptions) => Connection } = {
  dense: (shape) => dense(shape as [number, number]),
  conv1d: (shape, options) => conv1d(shape as [number, number, number], options),
  conv2d: (shape, options) => conv2d(shape as [number, number, number, number], options),
  depthwiseConv2d: (shape, options) => depthwiseConv2d(shape as [number, number, number, number], options),
};

const HELP = `a rule can move Dense, Conv1D, Conv2D and DepthwiseConv2D kernels, channels last; give any other layer gradientDescent(), a tf.Optimizer, or null.`;

/** Whether the class of a layer has a connection, and its kernel is one of its trainable weights. */
export function hasConnection({ layer }: ModelLayer): boolean {
  return familyOf(layer) !== null && ownsKernel(layer);
}

function ownsKernel(layer: tfl.layers.Layer): boolean {
  return internalsOf(layer)._trainableWeights.includes(kernelOf(layer) as tfl.LayerVariable);
}

/** Whether a layer is a Conv1D or Conv2D layer that has a connection. */
export function isConvolution(owner: ModelLayer): boolean {
  return ['conv1d', 'conv2d'].includes(familyOf(owner.layer)?.kind ?? '') && obstacle(owner) === null;
}

/**
 * Rejects a dilated Conv2D layer for which neither tfjs nor a connection has a gradient.
 *
 * @throws UnsupportedError `UNSUPPORTED_LAYER`.
 */
export function refuseDilated(owner: ModelLayer): void {
  const what = obstacle(owner);
  if (what === null) return;
  const rate = JSON.stringify(internalsOf(owner.layer).dilationRate);
  throw new UnsupportedError(
    'UNSUPPORTED_LAYER',
    `Layer '${owner.path}' is ${what} and dilationRate ${rate}. TensorFlow.js has no gradient for it.`,
    'use a stock Conv2D layer, channels last; or one without dilationRate, whose call() uses tf.conv2d().',
  );
}

/**
 * The dilated Conv2D layers among a layer and its parts. tfjs runs them in a fused kernel, which has no gradient.
 * `dilation.ts` has the gradients of other dilated layers. The depthwise layer ignores its dilation.
 */
export function dilatedIn({ layer, path, within }: ModelLayer): ModelLayer[] {
  const isDilated = (part: tfl.layers.Layer) =>
    familyOf(part)?.kind === 'conv2d' && (internalsOf(part).dilationRate ?? []).some((rate) => rate > 1);
  return [layer, ...partsOf(layer)].filter(isDilated).map((part) => ({ layer: part, path, within }));
}

/**
 * The connection of a layer.
 *
 * @throws UnsupportedError `UNSUPPORTED_LAYER`, see {@link refuseObstacle}.
 */
export function connectionOf(owner: ModelLayer): Connection {
  refuseObstacle(owner);
  const layer = internalsOf(owner.layer);
  const shape = kernelOf(layer)?.read().shape as number[];
  const { kind } = familyOf(layer)!;
  return makers[kind](shape, {
    strides: layer.strides,
    dilations: layer.dilationRate ?? [],
    padding: layer.padding,
  } as ConvolutionOptions);
}

/** The units of a weight, whether a rule can move it or not. Those of a depthwise kernel are grouped by channel. */
export function unitsOf({ owner, weight, isKernel }: ModelWeight): Units {
  const { shape } = variableOf(weight);
  const family = isKernel ? familyOf(owner.layer) : null;
  return family === null ? unitsOfWeight(shape) : makers[family.kind](shape, {}).units;
}

/**
 * Rejects a layer that has no connection.
 *
 * @throws UnsupportedError `UNSUPPORTED_LAYER` for another class of layer, a custom `call`, a grouped convolution,
 * `channelsFirst`, causal padding, or dilation in a depthwise layer.
 */
export function refuseObstacle(owner: ModelLayer): void {
  const what = obstacle(owner);
  if (what === null) return;
  throw new UnsupportedError('UNSUPPORTED_LAYER', `Layer '${owner.path}' is ${what}.`, HELP);
}

/** Describes why a layer has no connection; null if it has one. */
function obstacle(owner: ModelLayer): string | null {
  const layer = internalsOf(owner.layer);
  const name = layer.getClassName();
  const family = familyOf(layer);
  if (family === null) return `a ${name}`;
  if (!isStock(layer)) return `a ${name} with a custom call()`;
  if (!ownsKernel(layer)) return `a ${name} whose kernel is not one of its trainable weights`;
  if (layer.dataFormat === 'channelsFirst') return `a ${name} with dataFormat 'channelsFirst'`;
  if (layer.padding === 'causal') return `a ${name} with causal padding, which tfjs has not implemented`;
  // tfjs-layers drops the option when it creates a layer. A subclass may keep it.
  const config = layer.getConfig === family.getConfig ? {} : layer.getConfig();
  const groups = (layer as { groups?: number }).groups ?? config.groups ?? 1;
  if (groups !== 1) return `a ${name} of ${groups} groups`;
  const dilations = layer.dilationRate ?? [];
  if (family.kind === 'depthwiseConv2d' && dilations.some((rate) => rate > 1)) {
    return `a ${name} with dilationRate ${JSON.stringify(dilations)}, which tfjs-layers ignores`;
  }
  return null;
}
