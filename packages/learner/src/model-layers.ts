/**
 * What a model is made of, as far as learning is concerned: its layers by path, their weights, and their connections.
 */
import { UnsupportedError } from '@ghl/core';
import { type Connection, type ConvolutionOptions, conv1d, conv2d, dense, depthwiseConv2d } from '@ghl/core/engine';
import type * as tfc from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';

/** The parts of a tfjs layer that its public types leave out. */
export type Layer = tfl.layers.Layer & {
  readonly _trainableWeights: tfl.LayerVariable[];
  readonly kernel?: tfl.LayerVariable;
  readonly depthwiseKernel?: tfl.LayerVariable;
  readonly bias?: tfl.LayerVariable | null;
  readonly activation?: { apply(x: tfc.Tensor): tfc.Tensor; getClassName(): string } | null;
  readonly dataFormat?: string;
  readonly padding?: string;
  readonly strides?: number[];
  readonly dilationRate?: number[];
  /** What a recurrent layer, a wrapper or a nested model is made of. */
  readonly cell?: Layer;
  readonly cells?: readonly Layer[];
  readonly layer?: Layer;
  readonly layers?: readonly Layer[];
  readonly forwardLayer?: Layer;
  readonly backwardLayer?: Layer;
  invokeCallHook(inputs: tfc.Tensor | tfc.Tensor[], kwargs: object): void;
};

/** The parts of a model in training that its public types leave out. */
export interface Trainer {
  readonly loss: unknown;
  readonly outputNames: readonly string[];
  /** Absent before compile(). */
  lossFunctions?: ((labels: tfc.Tensor, output: tfc.Tensor) => tfc.Tensor)[];
  /** Whether a fit() is under way. */
  readonly isTraining: boolean;
  /** Of the fit() under way, or of the last. */
  readonly history: tfl.History;
}

/** The model that trains: a Sequential has one within it, a new one from each compile(). */
export function trainerOf(model: tfl.LayersModel): Trainer {
  return ((model as { model?: tfl.LayersModel }).model ?? model) as unknown as Trainer;
}

/** A layer with the path that a label names it by, `'conv1'` or `'inner/dense'`, and the models that it lies in. */
export interface ModelLayer {
  readonly path: string;
  readonly layer: Layer;
  /** Nested models around it, the nearest first, with their paths. */
  readonly within: readonly { readonly path: string; readonly model: tfl.LayersModel }[];
}

/** A trainable weight and its path, `'conv1/kernel'`. */
export interface ModelWeight {
  readonly path: string;
  readonly owner: ModelLayer;
  readonly weight: tfl.LayerVariable;
  /** Whether it is the kernel of its layer's connection. */
  readonly isKernel: boolean;
}

/** All layers of a model, nested models opened, each layer once, inputs before outputs. */
export function layersOf(model: tfl.LayersModel): ModelLayer[] {
  const found = new Map<tfl.layers.Layer, ModelLayer>();
  const visit = (parent: tfl.LayersModel, prefix: string, within: ModelLayer['within']) => {
    for (const layer of parent.layers) {
      const path = `${prefix}${layer.name}`;
      if (layer instanceof tfl.LayersModel) visit(layer, `${path}/`, [{ path, model: layer }, ...within]);
      else if (!found.has(layer)) found.set(layer, { path, layer: layer as unknown as Layer, within });
    }
  };
  visit(model, '', []);
  return [...found.values()];
}

/** The layers that a recurrent layer, a wrapper or a nested model is made of, and what those are made of. */
export function partsOf(layer: Layer): Layer[] {
  const { cell, cells = [], layer: wrapped, layers = [], forwardLayer, backwardLayer } = layer;
  const parts = [cell, ...cells, wrapped, ...layers, forwardLayer, backwardLayer].filter((part) => part != null);
  return parts.flatMap((part) => [part, ...partsOf(part)]);
}

/**
 * The trainable weights of all layers with their paths, also of layers that are not trainable, each once. Besides the
 * weights that a layer made, there are those that a layer of the user's own exposes as its `trainableWeights`.
 */
export function weightsOf(layers: readonly ModelLayer[]): ModelWeight[] {
  const made = layers.map(({ layer }) => [layer, ...partsOf(layer)].flatMap((each) => each._trainableWeights));
  const known = new Set(made.flat());
  const claimed = new Set<tfl.LayerVariable>();
  return layers.flatMap((owner, i) => {
    const exposed = owner.layer.trainableWeights.filter((weight) => !known.has(weight));
    const own = [...(made[i] as tfl.LayerVariable[]), ...exposed].filter((weight) => !claimed.has(weight));
    const paths = new Set<string>();
    return own.map((weight) => {
      claimed.add(weight);
      const path = unusedPath(`${owner.path}/${nameOf(weight, owner.layer)}`, paths);
      return { path, owner, weight, isKernel: familyOf(owner.layer) !== null && weight === kernelOf(owner.layer) };
    });
  });
}

/** The path of any weight of a layer, trainable or not. */
export function weightPath({ layer, path }: ModelLayer, weight: tfl.LayerVariable): string {
  return `${path}/${nameOf(weight, layer)}`;
}

/** The name of a weight within its layer. */
function nameOf({ originalName }: tfl.LayerVariable, layer: Layer): string {
  const scope = `${layer.name}/`;
  return originalName.startsWith(scope)
    ? originalName.slice(scope.length)
    : originalName.slice(originalName.lastIndexOf('/') + 1);
}

/** Layers within a layer may give their weights the same names: the second is `'kernel_2'`. */
function unusedPath(path: string, used: Set<string>): string {
  let unused = path;
  for (let count = 2; used.has(unused); count++) unused = `${path}_${count}`;
  used.add(unused);
  return unused;
}

/** The variable behind a layer's weight: what moves. */
export function variableOf(weight: tfl.LayerVariable): tfc.Variable {
  return weight.read() as tfc.Variable;
}

/** Whether a layer is trainable, and every model that it lies in. */
export function isTrainable({ layer, within }: ModelLayer): boolean {
  return layer.trainable && within.every(({ model }) => model.trainable);
}

/** The kernel of a layer that has a connection. */
export function kernelOf(layer: Layer): tfl.LayerVariable | undefined {
  return layer.depthwiseKernel ?? layer.kernel;
}

/** What a layer does with its input: the type of tfjs-layers' `Layer.call`. */
export type LayerCall = (
  inputs: tfc.Tensor | tfc.Tensor[],
  kwargs: { training?: boolean },
) => tfc.Tensor | tfc.Tensor[];

type Kind = Connection['kind'];

const ANY = { name: 'any', units: 1, filters: 1, kernelSize: 1 };
const transposed = tfl.layers.conv2dTranspose(ANY).constructor;

/**
 * The classes whose layers have a connection, each with its own forward pass, as it was when this module was loaded.
 */
const families = (
  [
    ['dense', tfl.layers.dense(ANY)],
    ['conv1d', tfl.layers.conv1d(ANY)],
    ['conv2d', tfl.layers.conv2d(ANY)],
    ['depthwiseConv2d', tfl.layers.depthwiseConv2d(ANY)],
  ] as [Kind, tfl.layers.Layer][]
).map(([kind, layer]) => {
  const { constructor: made, call, getConfig } = layer;
  return { kind, made, call: call as LayerCall, getConfig };
});

/** The class of those above that a layer belongs to, itself or by inheritance; null if to none. */
function familyOf(layer: Layer): (typeof families)[number] | null {
  if (layer instanceof transposed) return null;
  return families.find(({ made }) => layer instanceof made) ?? null;
}

/** What each stand-in stands for, so that a step within a step knows a layer's own call. */
export const standsFor = new WeakMap<LayerCall, LayerCall>();

/** Whether the forward pass of a layer is that of its family, and no subclass or user has replaced it. */
function isStock(layer: Layer): boolean {
  let call = layer.call as LayerCall;
  for (let own = standsFor.get(call); own !== undefined; own = standsFor.get(call)) call = own;
  return call === familyOf(layer)?.call;
}

const makers: { readonly [K in Kind]: (shape: number[], options: ConvolutionOptions) => Connection } = {
  dense: (shape) => dense(shape as [number, number]),
  conv1d: (shape, options) => conv1d(shape as [number, number, number], options),
  conv2d: (shape, options) => conv2d(shape as [number, number, number, number], options),
  depthwiseConv2d: (shape, options) => depthwiseConv2d(shape as [number, number, number, number], options),
};

const HELP = `a rule can move Dense, Conv1D, Conv2D and DepthwiseConv2D kernels, channels last; give any other layer gradientDescent(), a tf.Optimizer, or null.`;

/** Whether a layer is of a kind that has a connection, and its kernel one of its weights. */
export function hasConnection({ layer }: ModelLayer): boolean {
  return familyOf(layer) !== null && ownsKernel(layer);
}

function ownsKernel(layer: Layer): boolean {
  return layer._trainableWeights.includes(kernelOf(layer) as tfl.LayerVariable);
}

/** Whether a layer is a convolution that has a connection. */
export function isConvolution(owner: ModelLayer): boolean {
  return ['conv1d', 'conv2d'].includes(familyOf(owner.layer)?.kind ?? '') && obstacle(owner) === null;
}

/**
 * Refuses a dilated Conv2D layer that neither tfjs nor a connection has a gradient of.
 *
 * @throws UnsupportedError `UNSUPPORTED_LAYER`.
 */
export function refuseDilated(owner: ModelLayer): void {
  const what = obstacle(owner);
  if (what === null) return;
  const rate = JSON.stringify(owner.layer.dilationRate);
  throw new UnsupportedError(
    'UNSUPPORTED_LAYER',
    `Layer '${owner.path}' is ${what} and dilationRate ${rate}, of which TensorFlow.js has no gradient.`,
    'use a stock Conv2D layer, channels last; or one without dilationRate, whose call() uses tf.conv2d().',
  );
}

/**
 * A layer and the layers in it, as far as they are dilated Conv2D layers: tfjs runs these in a fused kernel, which has
 * no gradient. The other dilated layers have the gradients of `dilation.ts`; its depthwise layer ignores the dilation.
 */
export function dilatedIn({ layer, path, within }: ModelLayer): ModelLayer[] {
  const isDilated = (part: Layer) =>
    familyOf(part)?.kind === 'conv2d' && (part.dilationRate ?? []).some((rate) => rate > 1);
  return [layer, ...partsOf(layer)].filter(isDilated).map((part) => ({ layer: part, path, within }));
}

/**
 * The connection of a layer.
 *
 * @throws UnsupportedError `UNSUPPORTED_LAYER` as {@link refuseObstacle}.
 */
export function connectionOf(owner: ModelLayer): Connection {
  refuseObstacle(owner);
  const { layer } = owner;
  const shape = kernelOf(layer)?.read().shape as number[];
  const { kind } = familyOf(layer)!;
  return makers[kind](shape, {
    strides: layer.strides,
    dilations: layer.dilationRate ?? [],
    padding: layer.padding,
  } as ConvolutionOptions);
}

/**
 * Refuses a layer that has no connection.
 *
 * @throws UnsupportedError `UNSUPPORTED_LAYER` for another kind of layer, one whose `call` is not TensorFlow.js's,
 * grouped convolution, `channelsFirst`, or dilation in a depthwise layer, which tfjs-layers ignores.
 */
export function refuseObstacle(owner: ModelLayer): void {
  const what = obstacle(owner);
  if (what === null) return;
  throw new UnsupportedError('UNSUPPORTED_LAYER', `Layer '${owner.path}' is ${what}.`, HELP);
}

/** What a layer is that has no connection; null if it has one. */
function obstacle({ layer }: ModelLayer): string | null {
  const name = layer.getClassName();
  const family = familyOf(layer);
  if (family === null) return `a ${name}`;
  if (!isStock(layer)) return `a ${name} with a call() of its own`;
  if (!ownsKernel(layer)) return `a ${name} whose kernel is not among its trainable weights`;
  if (layer.dataFormat === 'channelsFirst') return `a ${name} with dataFormat 'channelsFirst'`;
  if (layer.padding === 'causal') return `a ${name} with causal padding, which tfjs has not implemented`;
  // tfjs-layers drops the option when it makes a layer; a subclass may have kept it.
  const config = layer.getConfig === family.getConfig ? {} : layer.getConfig();
  const groups = (layer as { groups?: number }).groups ?? config.groups ?? 1;
  if (groups !== 1) return `a ${name} of ${groups} groups`;
  const dilations = layer.dilationRate ?? [];
  if (family.kind === 'depthwiseConv2d' && dilations.some((rate) => rate > 1)) {
    return `a ${name} with dilationRate ${JSON.stringify(dilations)}, which tfjs-layers ignores`;
  }
  return null;
}
