/** What a model is made of, as far as learning is concerned: its layers by path, their weights, and their connections. */
import {
  type Connection,
  type ConvolutionOptions,
  conv1d,
  conv2d,
  dense,
  depthwiseConv2d,
  UnsupportedError,
} from '@ghl/core';
import type * as tfc from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';

/** The parts of a tfjs layer that its public types leave out. */
export type Layer = tfl.layers.Layer & {
  readonly _trainableWeights: tfl.LayerVariable[];
  readonly kernel?: tfl.LayerVariable;
  readonly depthwiseKernel?: tfl.LayerVariable;
  readonly bias?: tfl.LayerVariable | null;
  readonly activation?: { apply(x: tfc.Tensor): tfc.Tensor } | null;
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

/** The trainable weights of a layer, those of the layers in it included, also while it is not trainable. */
function trainableWeights(layer: Layer): tfl.LayerVariable[] {
  const { cell, cells = [], layer: wrapped, layers = [], forwardLayer, backwardLayer } = layer;
  const parts = [cell, ...cells, wrapped, ...layers, forwardLayer, backwardLayer].filter((part) => part !== undefined);
  return [...layer._trainableWeights, ...parts.flatMap(trainableWeights)];
}

/** The trainable weights of a layer with their paths, also while it is not trainable. */
export function weightsOf(owner: ModelLayer): ModelWeight[] {
  const { layer, path } = owner;
  const kernel = kernelOf(layer);
  return trainableWeights(layer).map((weight) => {
    const scope = `${layer.name}/`;
    const name = weight.originalName.startsWith(scope)
      ? weight.originalName.slice(scope.length)
      : weight.originalName.slice(weight.originalName.lastIndexOf('/') + 1);
    return {
      path: `${path}/${name}`,
      owner,
      weight,
      isKernel: weight === kernel && supported.has(layer.getClassName()),
    };
  });
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

const supported = new Map<string, (layer: Layer, shape: number[], options: ConvolutionOptions) => Connection>([
  ['Dense', (_, shape) => dense(shape as [number, number])],
  ['Conv1D', (_, shape, options) => conv1d(shape as [number, number, number], options)],
  ['Conv2D', (_, shape, options) => conv2d(shape as [number, number, number, number], options)],
  ['DepthwiseConv2D', (_, shape, options) => depthwiseConv2d(shape as [number, number, number, number], options)],
]);

const HELP = `a rule can move Dense, Conv1D, Conv2D and DepthwiseConv2D kernels, channels last; give any other layer gradient(), a tf.Optimizer, or null.`;

/** Whether a layer is of a kind that has a connection. */
export function hasConnection({ layer }: ModelLayer): boolean {
  return supported.has(layer.getClassName());
}

/** Whether a layer is a convolution that has a connection. */
export function isConvolution(owner: ModelLayer): boolean {
  return ['Conv1D', 'Conv2D'].includes(owner.layer.getClassName()) && obstacle(owner) === null;
}

/** Whether a layer is a dilated convolution, of which tfjs has no gradient; its depthwise one ignores the dilation. */
export function isDilated({ layer }: ModelLayer): boolean {
  const convolves = ['Conv1D', 'Conv2D'].includes(layer.getClassName());
  return convolves && (layer.dilationRate ?? []).some((rate) => rate > 1);
}

/**
 * The connection of a layer.
 *
 * @throws UnsupportedError `UNSUPPORTED_LAYER` for another kind of layer, grouped convolution, `channelsFirst`, or
 * dilation in a depthwise layer, which tfjs-layers ignores.
 */
export function connectionOf(owner: ModelLayer): Connection {
  const { layer, path } = owner;
  const what = obstacle(owner);
  if (what !== null) {
    throw new UnsupportedError('UNSUPPORTED_LAYER', `Layer '${path}' is ${what}.`, { help: HELP });
  }
  const kind = layer.getClassName();
  const make = supported.get(kind)!;
  const shape = kernelOf(layer)?.read().shape as number[];
  if (kind === 'Dense') return make(layer, shape, {});
  return make(layer, shape, {
    strides: layer.strides,
    dilations: layer.dilationRate ?? [],
    padding: layer.padding,
  } as ConvolutionOptions);
}

/** What a layer is that has no connection; null if it has one. */
function obstacle({ layer }: ModelLayer): string | null {
  const kind = layer.getClassName();
  if (!supported.has(kind)) return `a ${kind}`;
  if (layer.dataFormat === 'channelsFirst') return `a ${kind} with dataFormat 'channelsFirst'`;
  if (layer.padding === 'causal') return `a ${kind} with causal padding, which tfjs has not implemented`;
  const groups = (layer as { groups?: number }).groups ?? 1;
  if (groups > 1) return `a ${kind} of ${groups} groups`;
  const dilations = layer.dilationRate ?? [];
  if (kind === 'DepthwiseConv2D' && dilations.some((rate) => rate > 1)) {
    return `a DepthwiseConv2D with dilationRate ${JSON.stringify(dilations)}, which tfjs-layers ignores`;
  }
  return null;
}
