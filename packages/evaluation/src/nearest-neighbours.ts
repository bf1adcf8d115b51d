/** The k-nearest-neighbour classifier on the output of one layer. */
import { checkOptions, number, readOptions } from '@ghl/core/plugin';
import * as tf from '@tensorflow/tfjs-core';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { type Examples, type Labelled, READ_OPTIONS, type ReadOptions } from './examples.js';
import { checkFinite, type FeatureOptions, featuresOf, labelsOf, largestIndex, poolReader } from './features.js';
import { feed, type Measure, measured, type Optional } from './measure.js';

/** Options of {@link nearestNeighbours}. */
export interface NearestNeighboursOptions extends FeatureOptions, ReadOptions {
  /** The examples that vote. Their features stay on the device until the end. */
  readonly train: Examples;
  /** The examples that are classified. */
  readonly test: Examples;
  /** k, the number of neighbours that vote: all training examples if there are fewer. Default 200. */
  readonly neighbours?: number;
  /** τ of the weight of a vote, above 0. Default 0.07. */
  readonly temperature?: number;
}

/** The result of {@link nearestNeighbours}. */
export interface NeighboursResult {
  /** Share of the test examples that are classified correctly. */
  readonly accuracy: number;
  /** Number of neighbours that voted. */
  readonly neighbours: number;
}

/**
 * Accuracy of the weighted k-nearest-neighbour classifier on the features of one layer, the model fixed.
 *
 * With f the features of an example at unit length, a training example i votes for its class by its cosine similarity:
 *
 *     sᵢ = fᵢ·f        votes_c = Σ exp(sᵢ / τ)  over the k nearest i of class c        class = argmax_c votes_c
 *
 * Of neighbours that are equally near, the earlier one votes; of classes with equal votes, the first wins. An example
 * whose features are all 0 has similarity 0 to every other.
 *
 * @param layerName A layer of the model, or the path of one in a nested model: `'inner/conv1'`.
 * @throws ConfigurationError `UNKNOWN_LAYER`, `BAD_VALUE`; UnsupportedError `UNSUPPORTED_LAYER`; DataError
 * `NO_EXAMPLES`; NonFiniteError `NON_FINITE_ACTIVATION`.
 * @see Wu, Xiong, Yu & Lin, "Unsupervised feature learning via non-parametric instance discrimination", CVPR 2018,
 * section 3.4, whose k = 200 and τ = 0.07 are the defaults.
 * @example
 * ```ts
 * import { nearestNeighbours } from '@ghl/evaluation';
 * import * as tf from '@tensorflow/tfjs-core';
 * import { layers, sequential } from '@tensorflow/tfjs-layers';
 * import '@tensorflow/tfjs-backend-cpu';
 *
 * const model = sequential({ layers: [layers.reLU({ name: 'relu', inputShape: [2] })] });
 * const train = { xs: tf.tensor2d([[1, 0], [0, 1]]), ys: tf.tensor2d([[1, 0], [0, 1]]) };
 * // The direction of [2, 1] is nearer to [1, 0], that of [1, 3] to [0, 1].
 * const test = { xs: tf.tensor2d([[2, 1], [1, 3]]), ys: tf.tensor2d([[1, 0], [0, 1]]) };
 * console.log(await nearestNeighbours(model, 'relu', { train, test }));
 * // => { accuracy: 1, neighbours: 2 }
 * ```
 */
export async function nearestNeighbours(
  model: LayersModel,
  layerName: string,
  options: NearestNeighboursOptions,
): Promise<NeighboursResult> {
  const known = ['train', 'test', 'neighbours', 'temperature', 'pool', ...READ_OPTIONS];
  checkOptions('nearestNeighbours', options, known);
  const { train, test, neighbours, temperature, pool } = options;
  const memory = neighbourMemory({ neighbours, temperature, pool });
  try {
    await feed(model, new Map([[layerName, [memory]]]), 'train', train, options);
    return await measured(model, layerName, memory.test(), 'test', test, options);
  } finally {
    memory.dispose();
  }
}

/** Keeps training features; then classifies by them. */
export interface NeighbourMemory extends Pick<Measure<Labelled, NeighboursResult>, 'add'> {
  /** Classifies test examples. */
  test(): Measure<Labelled, NeighboursResult>;
  dispose(): void;
}

/** A classifier that has seen nothing yet. */
export function neighbourMemory(
  options: Optional<NearestNeighboursOptions, 'neighbours' | 'temperature' | 'pool'>,
): NeighbourMemory {
  const { neighbours, temperature, pool } = readOptions('nearestNeighbours', options, {
    neighbours: number(200, { least: 1 }),
    temperature: number(0.07, { above: 0 }),
    pool: poolReader,
  });
  const batches: tf.Tensor2D[] = [];
  const labels: number[] = [];

  return {
    async add(output, { ys }) {
      batches.push(unitFeatures(output, pool));
      labels.push(...(await labelsOf(ys)));
    },
    test() {
      const stored = tf.concat(batches, 0);
      tf.dispose(batches);
      batches.splice(0, batches.length, stored);
      const count = labels.length;
      const k = Math.min(Math.floor(neighbours), count);
      const classes = Math.max(...labels) + 1;
      let [correct, tested] = [0, 0];
      return {
        async add(output, { ys }) {
          const similarities = tf.tidy(() => tf.matMul(unitFeatures(output, pool), stored, false, true));
          const values = await similarities.data();
          similarities.dispose();
          checkFinite(values);
          for (const [i, label] of (await labelsOf(ys)).entries()) {
            const row = values.subarray(i * count, (i + 1) * count);
            const votes = new Float64Array(classes);
            // A similarity is at most 1, so that no exponent overflows.
            for (const j of nearest(row, k)) {
              const c = labels[j] as number;
              votes[c] = (votes[c] as number) + Math.exp(((row[j] as number) - 1) / temperature);
            }
            if (largestIndex(votes) === label) correct += 1;
            tested += 1;
          }
        },
        result: () => ({ accuracy: correct / tested, neighbours: k }),
      };
    },
    dispose: () => tf.dispose(batches),
  };
}

function unitFeatures(output: tf.Tensor, pool: number | null | undefined): tf.Tensor2D {
  return tf.tidy(() => {
    const features = featuresOf(output, pool);
    // The squares of very large or small features would be ∞ or 0.
    const scaled = tf.divNoNan(features, tf.max(tf.abs(features), 1, true));
    return tf.divNoNan(scaled, tf.norm(scaled, 2, 1, true)) as tf.Tensor2D;
  });
}

/** Indices of the k largest values; of equal ones, the first. */
function nearest(values: ArrayLike<number>, k: number): number[] {
  const indices = Array.from(values, (_, i) => i);
  if (k >= indices.length) return indices;
  return indices.sort((a, b) => (values[b] as number) - (values[a] as number) || a - b).slice(0, k);
}
