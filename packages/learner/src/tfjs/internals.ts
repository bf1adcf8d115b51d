/** The private members of TensorFlow.js that this package uses. Only files of this folder name them. */
import type * as tfc from '@tensorflow/tfjs-core';
import type * as tfl from '@tensorflow/tfjs-layers';

/** Private members of a layer. */
export type LayerInternals = tfl.layers.Layer & {
  readonly _trainableWeights: tfl.LayerVariable[];
  readonly kernel?: tfl.LayerVariable;
  readonly depthwiseKernel?: tfl.LayerVariable;
  readonly bias?: tfl.LayerVariable | null;
  readonly activation?: { apply(x: tfc.Tensor): tfc.Tensor; getClassName(): string } | null;
  readonly dataFormat?: string;
  readonly padding?: string;
  readonly strides?: number[];
  readonly dilationRate?: number[];
  /** The layers inside a recurrent layer, a wrapper or a nested model. */
  readonly cell?: LayerInternals;
  readonly cells?: readonly LayerInternals[];
  readonly layer?: LayerInternals;
  readonly layers?: readonly LayerInternals[];
  readonly forwardLayer?: LayerInternals;
  readonly backwardLayer?: LayerInternals;
  /** A stateful recurrent layer carries its states from one batch to the next. */
  readonly stateful?: boolean;
  states_?: tfc.Tensor[] | null;
  invokeCallHook(inputs: tfc.Tensor | tfc.Tensor[], kwargs: object): void;
};

/** Private members of a compiled model. */
export interface ModelInternals {
  readonly loss: unknown;
  readonly outputNames: readonly string[];
  /** Undefined before compile(). */
  lossFunctions?: ((labels: tfc.Tensor, output: tfc.Tensor) => tfc.Tensor)[];
  /** True while fit() runs. */
  readonly isTraining: boolean;
  /** The history of the current fit(), or of the last one. */
  readonly history: tfl.History;
}

/** The signature of `Layer.call`. */
export type LayerCall = (
  inputs: tfc.Tensor | tfc.Tensor[],
  kwargs: { training?: boolean },
) => tfc.Tensor | tfc.Tensor[];

/** The layer, with its private members. */
export function internalsOf(layer: tfl.layers.Layer): LayerInternals {
  return layer as LayerInternals;
}

/** The compiled model. A Sequential contains another model that trains; each compile() creates a new one. */
export function trainerOf(model: tfl.LayersModel): ModelInternals {
  return ((model as { model?: tfl.LayersModel }).model ?? model) as unknown as ModelInternals;
}

/** All layers inside a recurrent layer, a wrapper or a nested model, at any depth. */
export function partsOf(layer: tfl.layers.Layer): LayerInternals[] {
  const { cell, cells = [], layer: wrapped, layers = [], forwardLayer, backwardLayer } = internalsOf(layer);
  const parts = [cell, ...cells, wrapped, ...layers, forwardLayer, backwardLayer].filter((part) => part != null);
  return parts.flatMap((part) => [part, ...partsOf(part)]);
}

/** The kernel of a layer that has a connection. */
export function kernelOf(layer: tfl.layers.Layer): tfl.LayerVariable | undefined {
  const { depthwiseKernel, kernel } = internalsOf(layer);
  return depthwiseKernel ?? kernel;
}

/** The variable that holds a weight. */
export function variableOf(weight: tfl.LayerVariable): tfc.Variable {
  return weight.read() as tfc.Variable;
}
