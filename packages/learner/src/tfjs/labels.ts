/**
 * Checks the shapes of labels. tfjs does so in `fit` and `trainOnBatch`, with its own errors. In `fitDataset` it
 * compares batch sizes only, and broadcasts the labels into the loss.
 */
import { DataError } from '@ghl/core';
import type * as tf from '@tensorflow/tfjs-core';
import type * as tfl from '@tensorflow/tfjs-layers';
import { type ModelInternals, trainerOf } from './internals.js';

/** Runs a step, and checks the shapes of labels for each loss of tfjs. A custom loss accepts any labels. */
export function withLabelCheck<T>(model: tfl.LayersModel, body: () => T): T {
  const trainer = trainerOf(model);
  const { lossFunctions } = trainer;
  if (lossFunctions === undefined) return body();
  trainer.lossFunctions = lossFunctions.map((lossOf, i) => (labels, output) => {
    checkLabels(lossName(trainer, i), trainer.outputNames[i] as string, labels, output);
    return lossOf(labels, output);
  });
  try {
    return body();
  } finally {
    trainer.lossFunctions = lossFunctions;
  }
}

/** The name of the loss of an output, or undefined if compile() was given a function. */
export function lossName(
  { loss, outputNames }: Pick<ModelInternals, 'loss' | 'outputNames'>,
  output: number,
): string | undefined {
  const each =
    typeof loss === 'object' ? Object(loss)[Array.isArray(loss) ? output : (outputNames[output] as string)] : loss;
  return typeof each === 'string' ? each : undefined;
}

function checkLabels(loss: string | undefined, name: string, labels: tf.Tensor, output: tf.Tensor): void {
  if (loss === undefined) return;
  const shapes =
    loss === 'sparseCategoricalCrossentropy'
      ? [output.shape.slice(0, -1), [...output.shape.slice(0, -1), 1]]
      : [output.shape];
  if (shapes.some((shape) => shape.join() === labels.shape.join())) return;
  throw new DataError(
    'LABEL_SHAPE',
    `The labels of '${name}' have the shape [${labels.shape}], but its output has the shape [${output.shape}].`,
    `${loss} takes labels of the shape ${shapes.map((shape) => `[${shape}]`).join(' or ')}.`,
  );
}
