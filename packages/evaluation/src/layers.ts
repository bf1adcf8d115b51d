/** The layers of a model by path, and what they output for a batch. */
import { UnsupportedError } from '@ghl/core';
import { unknownName } from '@ghl/core/plugin';
import * as tf from '@tensorflow/tfjs-core';
import { LayersModel, type layers } from '@tensorflow/tfjs-layers';

/** A layer with its path, `'conv1'` or `'inner/conv1'`. */
export interface ModelLayer {
  readonly path: string;
  readonly layer: layers.Layer;
  /** The nested models that contain the layer, innermost first. */
  readonly within: readonly LayersModel[];
}

/** Members of a layer that its public type lacks. */
export type LayerInternals = layers.Layer & {
  readonly kernel?: { read(): tf.Tensor };
  readonly depthwiseKernel?: { read(): tf.Tensor };
  readonly dataFormat?: string;
  readonly padding?: string | number[][];
  readonly strides?: number[];
  readonly dilationRate?: number | number[];
  readonly poolSize?: number[];
  readonly size?: number[];
  readonly cropping?: number[][];
};

/** All layers of a model, including those of nested models, inputs before outputs. */
export function layersOf(model: LayersModel): ModelLayer[] {
  const found = new Map<layers.Layer, ModelLayer>();
  const visit = (parent: LayersModel, prefix: string, within: ModelLayer['within']) => {
    for (const layer of parent.layers) {
      const path = `${prefix}${layer.name}`;
      if (layer instanceof LayersModel) visit(layer, `${path}/`, [layer, ...within]);
      else if (!found.has(layer)) found.set(layer, { path, layer, within });
    }
  };
  visit(model, '', []);
  return [...found.values()];
}

/**
 * The layer at a path.
 *
 * @throws ConfigurationError `UNKNOWN_LAYER`.
 */
export function layerAt(model: LayersModel, path: string): ModelLayer {
  const all = layersOf(model);
  const layer = all.find((each) => each.path === path);
  if (layer !== undefined) return layer;
  throw unknownName(
    'layer',
    path,
    all.map((each) => each.path),
  );
}

/**
 * The layer that outputs the activation of a layer: the next one if it has no weights, keeps the shape and reads this
 * layer only, otherwise the layer itself.
 */
export function activationOf(model: LayersModel, owner: ModelLayer): ModelLayer {
  const next = layersOf(model).filter(({ layer }) =>
    layer.inboundNodes.some(({ inboundLayers }) => inboundLayers.includes(owner.layer)),
  );
  const [only] = next;
  if (next.length !== 1 || only === undefined || only.layer.weights.length > 0) return owner;
  const { inboundNodes, outputShape } = only.layer;
  const readsOnlyThis = inboundNodes.every(({ inboundLayers }) => inboundLayers.length === 1);
  return readsOnlyThis && tf.util.arraysEqual(outputShape as number[], owner.layer.outputShape as number[])
    ? only
    : owner;
}

/** The kernel of a layer and the number of its weights for each unit; null if the layer has none. */
export function kernelOf({ layer }: ModelLayer): { readonly kernel: tf.Tensor; readonly fanIn: number } | null {
  const { kernel, depthwiseKernel } = layer as LayerInternals;
  const tensor = (depthwiseKernel ?? kernel)?.read();
  if (tensor === undefined || /Transpose|Separable/.test(layer.getClassName())) return null;
  const fanOut = depthwiseKernel ? tensor.shape.slice(-2) : tensor.shape.slice(-1);
  return { kernel: tensor, fanIn: tensor.size / fanOut.reduce((product, each) => product * each, 1) };
}

/**
 * Runs a model at inference, and returns what some of its layers output. The caller disposes of the tensors.
 *
 * @throws UnsupportedError `UNSUPPORTED_LAYER` if a layer is used more than once, has several outputs or has its
 * channels first.
 */
export function outputsOf(model: LayersModel, chosen: readonly ModelLayer[], xs: tf.Tensor): tf.Tensor[] {
  const outputs = new Map<layers.Layer, tf.Tensor[]>(chosen.map(({ layer }) => [layer, []]));
  const restore = chosen.map(({ layer }) => record(layer, outputs.get(layer) as tf.Tensor[]));
  try {
    tf.tidy(() => {
      model.apply(xs, { training: false });
    });
  } catch (error) {
    tf.dispose([...outputs.values()]);
    throw error;
  } finally {
    for (const each of restore) each();
  }
  return chosen.map(({ path, layer }) => {
    const [output, another] = outputs.get(layer) as tf.Tensor[];
    // An input layer is not called.
    if (output === undefined && layer.getClassName() === 'InputLayer') return tf.clone(xs);
    const unsuitable =
      output === undefined || another !== undefined
        ? 'does not have exactly one output'
        : (layer as LayerInternals).dataFormat === 'channelsFirst' && 'has its channels first';
    if (!unsuitable) return output as tf.Tensor;
    tf.dispose([...outputs.values()]);
    throw new UnsupportedError(
      'UNSUPPORTED_LAYER',
      `Layer '${path}' ${unsuitable}.`,
      'name another layer: one that is used once in the model, channels last.',
    );
  });
}

/** Overrides `layer.call` to keep its output; returns a function that restores it. */
function record(layer: layers.Layer, outputs: tf.Tensor[]): () => void {
  const own = Object.getOwnPropertyDescriptor(layer, 'call');
  const { call } = layer;
  const value = (...args: Parameters<typeof call>) => {
    const output = call.apply(layer, args);
    for (const each of Array.isArray(output) ? output : [output]) outputs.push(tf.keep(tf.clone(each)));
    return output;
  };
  Object.defineProperty(layer, 'call', { value, configurable: true, writable: true });
  return () => {
    if (own === undefined) delete (layer as { call?: unknown }).call;
    else Object.defineProperty(layer, 'call', own);
  };
}
