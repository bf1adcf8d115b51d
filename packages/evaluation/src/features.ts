/** The features of an example: the output of a layer, averaged over a grid of positions. */
import { NonFiniteError } from '@ghl/core';
import { number, type OptionReader } from '@ghl/core/plugin';
import * as tf from '@tensorflow/tfjs-core';

/** Options of features. */
export interface FeatureOptions {
  /**
   * Side of the grid over whose cells the positions of a layer are averaged: `pool`² cells of an image, `pool` of a
   * sequence. As in PyTorch's AdaptiveAvgPool2d, cell i of n covers the rows from ⌊i·h/n⌋ to ⌈(i+1)·h/n⌉. Null keeps
   * every position. Default 2, the quadrants of Coates et al. (AISTATS 2011), or 1 for a layer of more than 512 units.
   */
  readonly pool?: number | null;
}

/** Reads the option `pool`. Undefined means the default, which depends on the layer. */
export const poolReader: OptionReader<number | null | undefined> = (name, value) =>
  value === undefined || value === null ? value : number(undefined, { least: 1 })(name, value);

/** The features of a batch, [batch, features]. The caller disposes of them. */
export function featuresOf(output: tf.Tensor, pool: number | null | undefined): tf.Tensor2D {
  return tf.tidy(() => {
    const { shape } = output;
    const units = shape.at(-1) as number;
    const positions = shape.slice(1, -1);
    const side = pool === undefined ? (units > 512 ? 1 : 2) : pool;
    if (positions.length === 0 || side === null) return tf.reshape(output, [shape[0] as number, -1]) as tf.Tensor2D;
    const axes = positions.map((_, i) => i + 1);
    let cells: { begin: number[]; size: number[] }[] = [{ begin: [0], size: [shape[0] as number] }];
    for (const length of positions) {
      const sections = Math.min(side, length);
      cells = cells.flatMap(({ begin, size }) =>
        Array.from({ length: sections }, (_, i) => {
          const from = Math.floor((i * length) / sections);
          return { begin: [...begin, from], size: [...size, Math.ceil(((i + 1) * length) / sections) - from] };
        }),
      );
    }
    const means = cells.map(({ begin, size }) => tf.mean(tf.slice(output, [...begin, 0], [...size, units]), axes));
    return (means.length === 1 ? tf.clone(means[0] as tf.Tensor) : tf.concat(means, 1)) as tf.Tensor2D;
  });
}

/** Class index of each row of one-hot labels. */
export async function labelsOf(ys: tf.Tensor2D): Promise<number[]> {
  const values = await ys.data();
  const classes = ys.shape[1];
  return Array.from({ length: ys.shape[0] }, (_, i) => largestIndex(values.subarray(i * classes, (i + 1) * classes)));
}

/** Index of the largest value; of equal ones, the first. */
export function largestIndex(values: ArrayLike<number>): number {
  let best = 0;
  for (let i = 1; i < values.length; i++) if ((values[i] as number) > (values[best] as number)) best = i;
  return best;
}

/** Throws unless all values are finite. */
export function checkFinite(values: ArrayLike<number>): void {
  for (let i = 0; i < values.length; i++) {
    if (Number.isFinite(values[i])) continue;
    throw new NonFiniteError(
      'NON_FINITE_ACTIVATION',
      `The layer output ${String(values[i])}.`,
      'look for NaN in the weights and in the examples: training has probably diverged.',
    );
  }
}
