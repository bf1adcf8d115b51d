/** Statistics of the effect of a step on each layer, measured on request. */
import * as tf from '@tensorflow/tfjs-core';

/** Statistics of one layer in one step. */
export interface LayerStatistics {
  /** ‖Δ‖₂ of the increment of the kernel. */
  readonly incrementNorm: number;
  /** The cosine of the increment with −∂L/∂W, in [−1, 1]; 0 if one of them is 0 or the step has no loss. */
  readonly alignment: number;
  /** The share of weights that moved against their gradient, among those with nonzero gradient and increment. */
  readonly signAgreement: number;
  /** For each unit, the share of positions at which its y is the largest; empty for a layer without a local rule. */
  readonly winShare: readonly number[];
}

/** Statistics on the device, read after the step. */
export interface MeasuredLayer {
  readonly path: string;
  readonly numbers: tf.Tensor1D;
  readonly winShare?: tf.Tensor1D;
}

/** Measures one layer inside a step. {@link readStatistics} disposes of the tensors. */
export function measureLayer(
  path: string,
  increment: tf.Tensor,
  gradient: tf.Tensor,
  posts: readonly tf.Tensor[],
): MeasuredLayer {
  const descent = tf.neg(gradient);
  const [move, direction] = [scaled(increment), scaled(descent)];
  const alignment = tf.divNoNan(tf.sum(tf.mul(move.unit, direction.unit)), tf.mul(move.norm, direction.norm));
  const product = tf.mul(tf.sign(increment), tf.sign(descent));
  const agreement = tf.divNoNan(tf.sum(tf.relu(product)), tf.sum(tf.abs(product)));
  const numbers = tf.keep(tf.stack([move.largest, move.norm, alignment, agreement]) as tf.Tensor1D);
  if (posts.length === 0) return { path, numbers };
  const units = posts[0]?.shape.at(-1) as number;
  if (units === 1) return { path, numbers, winShare: tf.keep(tf.ones([1])) }; // tf.oneHot() needs at least two
  const flat = tf.concat(posts.map((post) => tf.reshape(post, [-1, units])));
  return { path, numbers, winShare: tf.keep(tf.mean(tf.oneHot(tf.argMax(flat, 1), units), 0) as tf.Tensor1D) };
}

/** A tensor ÷ its largest absolute value, and the norm of that. The squares of the tensor itself may be ∞ or 0. */
function scaled(tensor: tf.Tensor): {
  readonly largest: tf.Tensor;
  readonly unit: tf.Tensor;
  readonly norm: tf.Tensor;
} {
  const largest = tf.max(tf.abs(tensor));
  const unit = tf.divNoNan(tensor, largest);
  return { largest, unit, norm: tf.sqrt(tf.sum(tf.square(unit))) };
}

/** Reads the statistics, and disposes of their tensors. */
export async function readStatistics(measured: readonly MeasuredLayer[]): Promise<Record<string, LayerStatistics>> {
  const entries = measured.map(async ({ path, numbers, winShare }) => {
    const [largest, norm, alignment, signAgreement] = Array.from(await numbers.data()) as [
      number,
      number,
      number,
      number,
    ];
    const shares = winShare === undefined ? [] : Array.from(await winShare.data());
    numbers.dispose();
    winShare?.dispose();
    return [path, { incrementNorm: largest * norm, alignment, signAgreement, winShare: shares }] as const;
  });
  return Object.fromEntries(await Promise.all(entries)) as Record<string, LayerStatistics>;
}
