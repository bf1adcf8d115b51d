/** The layers of a model and their weights, by path. */
import * as tfl from '@tensorflow/tfjs-layers';
import { hasFamily } from './connections.js';
import { internalsOf, kernelOf, partsOf } from './internals.js';

/** A layer, its path (`'conv1'` or `'inner/dense'`), and the models that contain it. */
export interface ModelLayer {
  readonly path: string;
  readonly layer: tfl.layers.Layer;
  /** The nested models that contain the layer, innermost first, with their paths. */
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

/** All layers of a model, including those of nested models. Each appears once, inputs before outputs. */
export function layersOf(model: tfl.LayersModel): ModelLayer[] {
  const layers = new Map<tfl.layers.Layer, ModelLayer>();
  const visit = (parent: tfl.LayersModel, prefix: string, within: ModelLayer['within']) => {
    for (const layer of parent.layers) {
      const path = `${prefix}${layer.name}`;
      if (layer instanceof tfl.LayersModel) visit(layer, `${path}/`, [{ path, model: layer }, ...within]);
      else if (!layers.has(layer)) layers.set(layer, { path, layer, within });
    }
  };
  visit(model, '', []);
  return [...layers.values()];
}

/**
 * The trainable weights of all layers, each once, with their paths. Layers that are not trainable are included, and so
 * are weights that a custom layer exposes as its `trainableWeights`.
 */
export function weightsOf(layers: readonly ModelLayer[]): ModelWeight[] {
  const own = layers.map(({ layer }) =>
    [internalsOf(layer), ...partsOf(layer)].flatMap((each) => each._trainableWeights),
  );
  const known = new Set(own.flat());
  const listed = new Set<tfl.LayerVariable>();
  return layers.flatMap((owner, i) => {
    const exposed = owner.layer.trainableWeights.filter((weight) => !known.has(weight));
    const weights = [...(own[i] as tfl.LayerVariable[]), ...exposed].filter((weight) => !listed.has(weight));
    const paths = new Set<string>();
    return weights.map((weight) => {
      listed.add(weight);
      const path = unusedPath(weightPath(owner, weight), paths);
      return { path, owner, weight, isKernel: hasFamily(owner.layer) && weight === kernelOf(owner.layer) };
    });
  });
}

/** The path of any weight of a layer, trainable or not. */
export function weightPath({ layer, path }: ModelLayer, weight: tfl.LayerVariable): string {
  return `${path}/${nameOf(weight, layer)}`;
}

/** The name of a weight within its layer. */
function nameOf({ originalName }: tfl.LayerVariable, layer: tfl.layers.Layer): string {
  const scope = `${layer.name}/`;
  return originalName.startsWith(scope)
    ? originalName.slice(scope.length)
    : originalName.slice(originalName.lastIndexOf('/') + 1);
}

/** Layers inside a layer may use the same weight name twice. The second weight is `'kernel_2'`. */
function unusedPath(path: string, used: Set<string>): string {
  let unused = path;
  for (let count = 2; used.has(unused); count++) unused = `${path}_${count}`;
  used.add(unused);
  return unused;
}

/** Whether a layer and every model that contains it are trainable. */
export function isTrainable({ layer, within }: ModelLayer): boolean {
  return layer.trainable && within.every(({ model }) => model.trainable);
}
