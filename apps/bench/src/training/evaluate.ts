/** How good a model is on a set of images: loss and accuracy at inference. */
import type { Split } from '@ghl/datasets';
import * as tf from '@tensorflow/tfjs-core';
import { type LayersModel, metrics } from '@tensorflow/tfjs-layers';
import type { Score } from '../run-store.js';
import { letEventsIn } from './event-loop.js';

/** Per example: the cross-entropy of the softmax output with the one-hot label, and whether the prediction is right. */
export function judge(
  predictions: tf.Tensor2D,
  labels: tf.Tensor2D,
): { readonly loss: tf.Tensor1D; readonly correct: tf.Tensor1D } {
  return {
    loss: metrics.categoricalCrossentropy(labels, predictions) as tf.Tensor1D,
    correct: tf.cast(tf.equal(tf.argMax(predictions, 1), tf.argMax(labels, 1)), 'float32'),
  };
}

/**
 * Mean loss and accuracy over all images of a split; null if it has none.
 *
 * @param onImages Told how many images were looked at, batch by batch.
 */
export async function evaluate(
  model: LayersModel,
  split: Split,
  batchSize: number,
  onImages: (count: number) => void = () => {},
): Promise<Score | null> {
  if (split.size === 0) return null;
  const sums: tf.Tensor1D[] = [];
  const batches = await split.batches({ batchSize, shuffle: false }).iterator();
  for (let next = await batches.next(); !next.done; next = await batches.next()) {
    const { xs, ys } = next.value;
    sums.push(
      tf.tidy(() => {
        const { loss, correct } = judge(model.apply(xs, { training: false }) as tf.Tensor2D, ys);
        return tf.stack([tf.sum(loss), tf.sum(correct)]) as tf.Tensor1D;
      }),
    );
    tf.dispose([xs, ys]);
    onImages(ys.shape[0]);
    await letEventsIn();
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
