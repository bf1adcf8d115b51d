/** Dead units: those that no example activates. */
import { checkOptions, number, readOptions } from '@ghl/core/plugin';
import * as tf from '@tensorflow/tfjs-core';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { type Inputs, READ_OPTIONS, type ReadOptions, type Unlabelled } from './examples.js';
import { type Measure, measured, type Optional } from './measure.js';

/** Options of {@link deadUnits}. */
export interface DeadUnitsOptions extends ReadOptions {
  /** The examples. */
  readonly examples: Unlabelled;
  /** The output that a living unit exceeds at least once. Default 0. */
  readonly threshold?: number;
}

/** The result of {@link deadUnits}. */
export interface DeadUnits {
  /** Share of the units that are dead. */
  readonly share: number;
  /** Indices of the dead units. */
  readonly units: readonly number[];
}

/**
 * The units of a layer whose output never exceeds a threshold, at no position of any example:
 *
 *     unit k is dead  ⟺  max over examples and positions of y_k ≤ threshold
 *
 * For a layer that ends in ReLU, these are the units that output 0 for every example: they pass no signal, and no
 * gradient reaches their weights. For a convolution before a ReLU, the result is the same.
 *
 * @param layerName A layer of the model, or the path of one in a nested model: `'inner/conv1'`. A unit is an index on
 * the last axis of its output.
 * @throws ConfigurationError `UNKNOWN_LAYER`, `BAD_VALUE`; UnsupportedError `UNSUPPORTED_LAYER`; DataError
 * `NO_EXAMPLES`.
 * @see Lu, Shin, Su & Karniadakis, "Dying ReLU and initialization", Commun. Comput. Phys. 28, 2020.
 * @example
 * ```ts
 * import { deadUnits } from '@ghl/evaluation';
 * import * as tf from '@tensorflow/tfjs-core';
 * import { layers, sequential } from '@tensorflow/tfjs-layers';
 * import '@tensorflow/tfjs-backend-cpu';
 *
 * const model = sequential({ layers: [layers.reLU({ name: 'relu', inputShape: [3] })] });
 * const xs = tf.tensor2d([[1, -1, 0], [-2, -3, 4]]);
 * console.log(await deadUnits(model, 'relu', { examples: { xs } })); // the second unit is never above 0
 * // => { share: 0.3333333333333333, units: [ 1 ] }
 * ```
 */
export async function deadUnits(model: LayersModel, layerName: string, options: DeadUnitsOptions): Promise<DeadUnits> {
  checkOptions('deadUnits', options, ['examples', 'threshold', ...READ_OPTIONS]);
  const { examples, threshold } = options;
  return measured(model, layerName, maxima({ threshold }), 'examples', examples, options);
}

/** Follows the largest output of each unit. */
export function maxima(options: Optional<DeadUnitsOptions, 'threshold'>): Measure<Inputs, DeadUnits> {
  const { threshold } = readOptions('deadUnits', options, { threshold: number(0) });
  const alive = new Set<number>();
  let units = 0;
  return {
    async add(output) {
      units = output.shape.at(-1) as number;
      const largest = tf.tidy(() => tf.max(tf.reshape(output, [-1, units]), 0));
      const values = await largest.data();
      largest.dispose();
      values.forEach((value, unit) => {
        if (value > threshold) alive.add(unit);
      });
    },
    result() {
      const dead = Array.from({ length: units }, (_, unit) => unit).filter((unit) => !alive.has(unit));
      return { share: dead.length / units, units: dead };
    },
  };
}
