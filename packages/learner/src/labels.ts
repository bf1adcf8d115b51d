/**
 * Labels of the wrong shape. tfjs refuses them under `fit` and `trainOnBatch`, with errors of its own; under `fitDataset`
 * it looks at the batch only, and broadcasts labels into the loss.
 */
import { DataError } from '@ghl/core';
import type * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { type Trainer, trainerOf } from './model-layers.js';

/**
 * Runs `body`, a step, with the labels' shapes checked where a loss of tfjs compares them with the model's output. A loss
 * of the user's own takes what labels it likes.
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
function lossName({ loss, outputNames }: Trainer, output: number): string | undefined {
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
    { help: `${loss} takes labels of the shape ${fitting.map((shape) => `[${shape}]`).join(' or ')}.` },
  );
}

/** What tfjs does first with the data of `fit`, `trainOnBatch` and `evaluate`; it throws where they do not fit. */
interface DataCheck {
  readonly feedInputNames: readonly string[];
  readonly feedInputShapes: readonly tfl.Shape[];
  readonly feedOutputNames: readonly string[];
  readonly feedOutputShapes: readonly tfl.Shape[];
  readonly optimizer: tf.Optimizer;
  standardizeUserDataXY(x: unknown, y: unknown, ...rest: unknown[]): unknown;
}

const coded = new WeakSet<tf.Optimizer>();
let patched = false;

/**
 * From now on, what tfjs says of data that do not fit a model that this optimizer trains is a DataError, `LABEL_SHAPE` or
 * `INPUT_SHAPE`. tfjs looks at the data before it calls the optimizer, so its check is the only place where that can be.
 */
export function codeShapeErrors(optimizer: tf.Optimizer): void {
  coded.add(optimizer);
  if (patched) return;
  patched = true;
  const prototype = tfl.LayersModel.prototype as unknown as DataCheck;
  const check = prototype.standardizeUserDataXY;
  prototype.standardizeUserDataXY = function (x, y, ...rest) {
    try {
      return check.call(this, x, y, ...rest);
    } catch (error) {
      throw coded.has(this.optimizer) ? misfit(this, x, y, error as Error) : error;
    }
  };
}

function misfit(model: DataCheck, x: unknown, y: unknown, cause: Error): DataError {
  const { feedInputNames, feedInputShapes, feedOutputNames, feedOutputShapes } = model;
  const bracketed = (shape: tfl.Shape) => `[${shape.map(String)}]`;
  const named = (names: readonly string[], shapes: readonly tfl.Shape[]) =>
    names.map((name, i) => `'${name}' ${bracketed(shapes[i] ?? [])}`).join(', ');
  const given = (data: unknown) => {
    const tensors = data instanceof Object && !('shape' in data) ? Object.values(data) : [data];
    return tensors.map((tensor) => bracketed((tensor as tf.Tensor | undefined)?.shape ?? [])).join(', ');
  };
  const ofLabels = y == null || /target/i.test(cause.message);
  const inputs = named(feedInputNames, feedInputShapes);
  const outputs = named(feedOutputNames, feedOutputShapes);
  return new DataError(
    ofLabels ? 'LABEL_SHAPE' : 'INPUT_SHAPE',
    ofLabels
      ? `For the model's ${outputs} there are labels of shape ${given(y)}.`
      : `For the model's ${inputs} there are inputs of shape ${given(x)}.`,
    { help: `the model takes ${inputs} and gives ${outputs}; TensorFlow.js says: ${cause.message}`, cause },
  );
}
