/** Winner entropy: how evenly the units of a layer share the positions at which they respond most. */
import { checkOptions } from '@ghl/core/plugin';
import * as tf from '@tensorflow/tfjs-core';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { type Inputs, READ_OPTIONS, type ReadOptions, type Unlabelled } from './examples.js';
import { type Measure, measured } from './measure.js';

/** Options of {@link winnerEntropy}. */
export interface WinnerEntropyOptions extends ReadOptions {
  /** The examples. */
  readonly examples: Unlabelled;
}

/** The result of {@link winnerEntropy}. */
export interface WinnerEntropy {
  /** Entropy of `shares` ÷ log K: 0 if one unit wins everywhere, 1 if all win equally often, NaN without winners. */
  readonly entropy: number;
  /** For each unit, the share of positions at which it wins. */
  readonly shares: readonly number[];
  /** Number of positions that have a winner. */
  readonly positions: number;
}

/**
 * The distribution of winners over the units of a layer. At each position of each example, the unit with the largest
 * output wins:
 *
 *     s_k = share of positions at which unit k wins        entropy = −Σₖ s_k·log s_k / log K
 *
 * The normalized entropy is Pielou's evenness. Units that tie share the position equally. A position at which all units
 * are equal, such as one where all are silent after a ReLU, has no winner and is left out: name the layer before the
 * activation.
 *
 * @param layerName A layer of the model, or the path of one in a nested model: `'inner/conv1'`. A unit is an index on
 * the last axis of its output.
 * @throws ConfigurationError `UNKNOWN_LAYER`; UnsupportedError `UNSUPPORTED_LAYER`; DataError `NO_EXAMPLES`.
 * @see Shannon, "A mathematical theory of communication", 1948; Pielou, "The measurement of diversity in different
 * types of biological collections", J. Theor. Biol. 13, 1966.
 * @example
 * ```ts
 * import { winnerEntropy } from '@ghl/evaluation';
 * import * as tf from '@tensorflow/tfjs-core';
 * import { layers, sequential } from '@tensorflow/tfjs-layers';
 * import '@tensorflow/tfjs-backend-cpu';
 *
 * const model = sequential({ layers: [layers.reLU({ name: 'relu', inputShape: [4] })] });
 * // Units 0 and 1 win one example each, and the third example has no winner: log 2 / log 4.
 * const xs = tf.tensor2d([[3, 1, 0, 0], [0, 2, 0, 0], [-1, -1, -1, -1]]);
 * console.log(await winnerEntropy(model, 'relu', { examples: { xs } }));
 * // => { entropy: 0.5, shares: [ 0.5, 0.5, 0, 0 ], positions: 2 }
 * ```
 */
export async function winnerEntropy(
  model: LayersModel,
  layerName: string,
  options: WinnerEntropyOptions,
): Promise<WinnerEntropy> {
  checkOptions('winnerEntropy', options, ['examples', ...READ_OPTIONS]);
  return measured(model, layerName, winners(), 'examples', options.examples, options);
}

/** Counts the positions that each unit wins. */
export function winners(): Measure<Inputs, WinnerEntropy> {
  let counts = new Float64Array();
  return {
    async add(output) {
      const units = output.shape.at(-1) as number;
      if (counts.length === 0) counts = new Float64Array(units);
      const won = tf.tidy(() => {
        const flat = tf.reshape(output, [-1, units]);
        const largest = tf.cast(tf.equal(flat, tf.max(flat, 1, true)), 'float32');
        const tied = tf.sum(largest, 1, true);
        return tf.sum(tf.mul(tf.divNoNan(largest, tied), tf.cast(tf.less(tied, units), 'float32')), 0);
      });
      const values = await won.data();
      won.dispose();
      counts.forEach((count, unit) => {
        counts[unit] = count + (values[unit] as number);
      });
    },
    result() {
      // Each batch adds fractions in float32; their sum is a whole number.
      const positions = Math.round(counts.reduce((sum, count) => sum + count, 0));
      const shares = Array.from(counts, (count) => (positions === 0 ? 0 : count / positions));
      const nats = shares.reduce((sum, share) => (share > 0 ? sum - share * Math.log(share) : sum), 0);
      return { entropy: positions === 0 ? Number.NaN : nats / Math.log(shares.length), shares, positions };
    },
  };
}
