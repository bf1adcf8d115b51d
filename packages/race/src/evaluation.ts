/** Evaluation: loss and accuracy of a model on a set of images, at inference. */
import * as tf from '@tensorflow/tfjs-core';
import type { Score } from './events.js';
import type { AppliedModel, Examples } from './examples.js';
import { lossOf } from './loss.js';

/** Images in a batch of evaluation, which keeps nothing for a backward pass. */
export const EVALUATION_BATCH = 100;

/** Per example: the loss of the output for the one-hot label, and 1 if the prediction is correct. */
export function lossAndCorrect(
  predictions: tf.Tensor2D,
  labels: tf.Tensor2D,
  loss?: string,
): { readonly loss: tf.Tensor1D; readonly correct: tf.Tensor1D } {
  return {
    loss: lossOf(loss)(labels, predictions),
    correct: tf.cast(tf.equal(tf.argMax(predictions, 1), tf.argMax(labels, 1)), 'float32'),
  };
}

/**
 * Mean loss and accuracy over all images of a split; null if it has none.
 *
 * @param onImages Called after each batch with its number of images; the next batch waits for it.
 * @param lossName Name of the loss. Default: the cross-entropy.
 */
export async function evaluate(
  model: AppliedModel,
  split: Examples,
  batchSize: number,
  onImages: (count: number) => Promise<void> = async () => {},
  lossName?: string,
): Promise<Score | null> {
  if (split.size === 0) return null;
  const sums: tf.Tensor1D[] = [];
  const batches = await split.batches({ batchSize, shuffle: false }).iterator();
  for (let next = await batches.next(); !next.done; next = await batches.next()) {
    const { xs, ys } = next.value;
    sums.push(
      tf.tidy(() => {
        const { loss, correct } = lossAndCorrect(model.apply(xs, { training: false }) as tf.Tensor2D, ys, lossName);
        return tf.stack([tf.sum(loss), tf.sum(correct)]) as tf.Tensor1D;
      }),
    );
    tf.dispose([xs, ys]);
    await onImages(ys.shape[0]);
  }
  const stacked = tf.stack(sums);
  const values = await stacked.data();
  tf.dispose([stacked, ...sums]);
  let [loss, correct] = [0, 0];
  for (let i = 0; i < values.length; i += 2) {
    loss += values[i] as number;
    correct += values[i + 1] as number;
  }
  return { loss: loss / split.size, accuracy: correct / split.size };
}
