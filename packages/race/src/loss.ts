/** The losses that a phase may name. */
import { unknownName } from '@ghl/core/plugin';
import { powerLoss } from '@ghl/models';
import * as tf from '@tensorflow/tfjs-core';
import { metrics } from '@tensorflow/tfjs-layers';

/** The loss of each example, [batch], from labels and predictions, both [batch, classes]. */
export type Loss = (labels: tf.Tensor2D, predictions: tf.Tensor2D) => tf.Tensor1D;

/** The loss of a phase that names none. */
export const DEFAULT_LOSS = 'categoricalCrossentropy';

const losses: Readonly<Record<string, Loss>> = {
  categoricalCrossentropy: (labels, predictions) => metrics.categoricalCrossentropy(labels, predictions) as tf.Tensor1D,
  /** For a network with `logits: true`. It has a gradient for every example, however wrong. */
  crossEntropyOfLogits: (labels, logits) => tf.neg(tf.sum(tf.mul(labels, tf.logSoftmax(logits)), -1)),
  powerLoss: powerLoss() as Loss,
  meanSquaredError: (labels, predictions) => metrics.meanSquaredError(labels, predictions) as tf.Tensor1D,
};

/** @throws ConfigurationError `UNKNOWN_LOSS`. */
export function lossOf(name: string = DEFAULT_LOSS): Loss {
  const loss = Object.hasOwn(losses, name) ? losses[name] : undefined;
  if (loss === undefined) throw unknownName('loss', name, Object.keys(losses));
  return loss;
}
