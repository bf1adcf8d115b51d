/**
 * The batch of `fit`, `fitDataset` and `trainOnBatch`, for the signals `input` and `target`. tfjs passes an optimizer
 * only a function without arguments, so the function that takes the batch is overridden.
 */
import type * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';

/** One batch of a model. */
export interface TrainingBatch {
  /** The tensor of each input. */
  readonly inputs: readonly tf.Tensor[];
  /** The labels of each output, as its loss receives them. */
  readonly targets: readonly tf.Tensor[];
}

/** The members of a model that this module overrides or reads. */
interface ModelInternals {
  readonly optimizer: tf.Optimizer;
  readonly inputs: readonly tfl.SymbolicTensor[];
  readonly outputs: readonly tfl.SymbolicTensor[];
  makeTrainFunction(): (data: tf.Tensor[]) => tf.Scalar[];
}

const batches = new WeakMap<tf.Optimizer, TrainingBatch>();
let patched = false;

/** Makes {@link trainingBatchOf} work for all models. */
export function recordTrainingBatches(): void {
  if (patched) return;
  patched = true;
  const prototype = tfl.LayersModel.prototype as unknown as ModelInternals;
  const { makeTrainFunction } = prototype;
  prototype.makeTrainFunction = function () {
    const train = makeTrainFunction.call(this);
    return (data) => {
      const { optimizer, inputs, outputs } = this;
      const labels = inputs.length + outputs.length;
      batches.set(optimizer, { inputs: data.slice(0, inputs.length), targets: data.slice(inputs.length, labels) });
      try {
        return train(data);
      } finally {
        batches.delete(optimizer);
      }
    };
  };
}

/** The batch that an optimizer is called for; undefined in a custom loop. */
export function trainingBatchOf(optimizer: tf.Optimizer): TrainingBatch | undefined {
  return batches.get(optimizer);
}
