/**
 * Labels of the wrong shape. tfjs refuses them under `fit` and `trainOnBatch`, with errors of its own; under
 * `fitDataset` it looks at the batch only, and broadcasts labels into the loss.
 */
import { DataError } from '@ghl/core';
import type * as tf from '@tensorflow/tfjs-core';
import type * as tfl from '@tensorflow/tfjs-layers';
import { type Trainer, trainerOf } from './model-layers.js';

/**
 * Runs `body`, a step, with the labels' shapes checked where a loss of tfjs compares them with the model's output. A
 * loss of the user's own takes what labels it likes.
 */
export function withCheckedLabels<T>(model: tfl.LayersModel, body: () => T): T {
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

/** The name under which compile() was given the loss of an output, if by name. */
export function lossName(
  { loss, outputNames }: Pick<Trainer, 'loss' | 'outputNames'>,
  output: number,
): string | undefined {
  const each =
    typeof loss === 'object' ? Object(loss)[Array.isArray(loss) ? output : (outputNames[output] as string)] : loss;
  return typeof each === 'string' ? each : undefined;
}

function checkLabels(loss: string | undefined, name: string, labels: tf.Tensor, output: tf.Tensor): void {
  if (loss === undefined) return;
  const fitting =
    loss === 'sparseCategoricalCrossentropy'
      ? [output.shape.slice(0, -1), [...output.shape.slice(0, -1), 1]]
      : [output.shape];
  if (fitting.some((shape) => shape.join() === labels.shape.join())) return;
  throw new DataError(
    'LABEL_SHAPE',
    `The labels of '${name}' have the shape [${labels.shape}], but its output has the shape [${output.shape}].`,
    `${loss} takes labels of the shape ${fitting.map((shape) => `[${shape}]`).join(' or ')}.`,
  );
}
