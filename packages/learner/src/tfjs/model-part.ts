/** Parts of a model's graph: between two tensors, without new layers or nodes. */
import type * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';

/** Computes tensors of a model's graph from others, as `model.apply` does. */
export class ModelPart {
  /** Read by `LayersModel.prototype.call`, which reads nothing else of a model. */
  readonly inputs: readonly tfl.SymbolicTensor[];
  readonly outputs: readonly tfl.SymbolicTensor[];

  constructor(inputs: readonly tfl.SymbolicTensor[], outputs: readonly tfl.SymbolicTensor[]) {
    this.inputs = inputs;
    this.outputs = outputs;
  }

  apply(x: tf.Tensor | tf.Tensor[], { training }: { training: boolean }): tf.Tensor | tf.Tensor[] {
    const { call } = tfl.LayersModel.prototype;
    const results = call.call(this as never, x, { training }) as tf.Tensor[];
    return results.length === 1 ? (results[0] as tf.Tensor) : results;
  }
}

/** The tensors of a model's graph, inputs before outputs. */
export function tensorsOf(model: tfl.LayersModel): tfl.SymbolicTensor[] {
  const tensors = new Set<tfl.SymbolicTensor>();
  const visit = (tensor: tfl.SymbolicTensor) => {
    if (tensors.has(tensor)) return;
    for (const input of inputsOf(model, tensor)) visit(input);
    tensors.add(tensor);
  };
  for (const output of model.outputs) visit(output);
  return [...tensors];
}

/** The tensors from which the layer of a tensor computes it. */
export function inputsOf(model: tfl.LayersModel, tensor: tfl.SymbolicTensor): readonly tfl.SymbolicTensor[] {
  return model.inputs.includes(tensor) ? [] : tensor.inputs;
}
