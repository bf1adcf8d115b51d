/**
 * The frozen prefix of a model: the layers up to a cut, if no step can change the tensor there. Its activations are
 * computed once per image; the rest of the model then trains on them.
 */
import { followsStep } from '@ghl/core/engine';
import * as tf from '@tensorflow/tfjs-core';
import type * as tfl from '@tensorflow/tfjs-layers';
import type { Plan } from './assignment.js';
import { frozenIn, planOverrides } from './override-plan.js';
import { type LayerOverrides, watchTraining, withOverrides } from './tfjs/layer-overrides.js';
import type { ModelLayer } from './tfjs/model-layers.js';
import { inputsOf, ModelPart, tensorsOf } from './tfjs/model-part.js';
import { statefulParts } from './tfjs/recurrent-states.js';

/** Computes one part of a model, as `model.apply` computes all of it. */
export interface AppliedPart {
  /**
   * Computes the output of the part.
   *
   * @param options Whether the layers train. A frozen layer never does.
   */
  apply(x: tf.Tensor, options: { readonly training: boolean }): tf.Tensor | tf.Tensor[];
}

/** A model in two parts, of which steps change only the second. Both share the layers of the model. */
export interface FrozenPrefix {
  /** The name of the last layer of the first part. */
  readonly layer: string;
  /** The shape of that layer's output for one example. */
  readonly shape: readonly number[];
  /** The weights of the first part, which stay the same. */
  readonly weights: readonly tfl.LayerVariable[];
  /** From the input of the model to the output of `layer`; with `training: true`, computes it as a step does. */
  readonly prefix: AppliedPart;
  /** From the output of `layer` to the output of the model. */
  readonly rest: AppliedPart;
}

/**
 * Finds the last single tensor that no step changes and through which every path from input to output passes. null if
 * there is none after a layer with weights, or if the model has several inputs.
 */
export function frozenPrefixOf(plan: Plan): FrozenPrefix | null {
  const { model } = plan;
  const [input, ...others] = model.inputs as [tfl.SymbolicTensor, ...tfl.SymbolicTensor[]];
  if (others.length > 0) return null;
  const isFrozen = frozenIn(plan, undefined);
  const inFlux = new Set(plan.layers.filter((owner) => canChange(owner, isFrozen(owner))).map(({ layer }) => layer));
  const widest = cutOf(plan, inFlux);
  if (widest === null || input.shape.slice(1).some((size) => size === null)) return null;
  // A layer without weights shows only when it runs whether it depends on the training mode, as dropout does.
  for (const { layer } of dependents(plan, widest)) inFlux.add(layer);
  const cut = cutOf(plan, inFlux);
  if (cut === null) return null;

  const first = new ModelPart([input], [cut]);
  return {
    layer: cut.sourceLayer.name,
    shape: cut.shape.slice(1) as number[],
    weights: layersBefore(plan, cut).flatMap(({ layer }) => layer.weights),
    prefix: {
      apply: (x, options) =>
        options.training
          ? withOverrides(planOverrides(plan, undefined), () => first.apply(x, options))
          : first.apply(x, options),
    },
    rest: new ModelPart([cut], model.outputs),
  };
}

/** Whether the output of a layer can change from step to step, as far as its weights and state tell. */
function canChange({ layer }: ModelLayer, frozen: boolean): boolean {
  if (statefulParts(layer).length > 0) return true;
  return !frozen && (layer.weights.length > 0 || followsStep(layer));
}

/** The layers of the graph's node that computes a tensor: one, or all layers of a nested model. */
function layersAt({ layers }: Plan, { sourceLayer }: tfl.SymbolicTensor): ModelLayer[] {
  return layers.filter(
    ({ layer, within }) => layer === sourceLayer || within.some(({ model }) => model === sourceLayer),
  );
}

/** A tensor and all tensors from which it is computed. */
function before(model: tfl.LayersModel, tensor: tfl.SymbolicTensor): Set<tfl.SymbolicTensor> {
  const tensors = new Set([tensor]);
  for (const each of tensors) for (const input of inputsOf(model, each)) tensors.add(input);
  return tensors;
}

function layersBefore(plan: Plan, cut: tfl.SymbolicTensor): ModelLayer[] {
  return [...new Set([...before(plan.model, cut)].flatMap((tensor) => layersAt(plan, tensor)))];
}

/** The last tensor that depends on none of the layers, and is the only way from the tensors before it to the output. */
function cutOf(plan: Plan, inFlux: ReadonlySet<tfl.layers.Layer>): tfl.SymbolicTensor | null {
  const { model } = plan;
  const tensors = tensorsOf(model);
  const isCut = (tensor: tfl.SymbolicTensor) => {
    const layers = layersBefore(plan, tensor);
    if (layers.some(({ layer }) => inFlux.has(layer)) || layers.every(({ layer }) => layer.weights.length === 0)) {
      return false;
    }
    const inside = before(model, tensor);
    const after = tensors.filter((each) => !inside.has(each));
    return (
      !model.outputs.some((output) => inside.has(output)) &&
      after.every((each) => inputsOf(model, each).every((input) => input === tensor || !inside.has(input)))
    );
  };
  return tensors.filter(isCut).at(-1) ?? null;
}

/** The layers before a cut whose output depends on the training mode, or carries a mask. */
function dependents(plan: Plan, cut: tfl.SymbolicTensor): ModelLayer[] {
  const { model } = plan;
  const isFrozen = frozenIn(plan, undefined);
  const result = new Set<ModelLayer>();
  const overrides: LayerOverrides = new Map();
  for (const owner of layersBefore(plan, cut)) {
    const note = () => result.add(owner);
    overrides.set(
      owner.layer,
      watchTraining(owner.layer, { onTraining: isFrozen(owner) ? () => {} : note, onMask: note }),
    );
  }
  const [input] = model.inputs as [tfl.SymbolicTensor];
  tf.tidy(() => {
    const zeros = tf.zeros([1, ...(input.shape.slice(1) as number[])], input.dtype);
    withOverrides(overrides, () => new ModelPart([input], [cut]).apply(zeros, { training: false }));
  });
  return [...result];
}
