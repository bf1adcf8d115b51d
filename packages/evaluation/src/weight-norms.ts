/** The norms of the weights of each unit. */
import { UnsupportedError } from '@ghl/core';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { kernelOf, layerAt } from './layers.js';

/** The result of {@link weightNorms}. */
export interface WeightNorms {
  /** ‖w_k‖₂ for each unit. */
  readonly norms: readonly number[];
  /** The least of them. */
  readonly min: number;
  /** The middle one, or the mean of the two in the middle. */
  readonly median: number;
  /** Their mean. */
  readonly mean: number;
  /** The greatest of them. */
  readonly max: number;
}

/**
 * The norm of each unit's weights, ‖w_k‖₂, with w_k the column of unit k in the kernel as [fan-in, units], without the
 * bias. Under Oja's rule it approaches 1; under plain Hebbian learning it has no bound.
 *
 * @param layerName A Dense, Conv1D, Conv2D, Conv3D or DepthwiseConv2D layer of the model, or its path in a nested
 * model.
 * @throws ConfigurationError `UNKNOWN_LAYER`; UnsupportedError `UNSUPPORTED_LAYER` for a layer without such a kernel.
 * @example
 * ```ts
 * import { weightNorms } from '@ghl/evaluation';
 * import * as tf from '@tensorflow/tfjs-core';
 * import { layers, sequential } from '@tensorflow/tfjs-layers';
 * import '@tensorflow/tfjs-backend-cpu';
 *
 * const weights = [tf.tensor2d([[3, 0], [4, 1]])];
 * const dense = layers.dense({ name: 'dense', units: 2, inputShape: [2], useBias: false, weights });
 * const model = sequential({ layers: [dense] });
 * console.log((await weightNorms(model, 'dense')).norms); // the columns are [3, 4] and [0, 1]
 * // => [ 5, 1 ]
 * ```
 */
export async function weightNorms(model: LayersModel, layerName: string): Promise<WeightNorms> {
  const owner = layerAt(model, layerName);
  const own = kernelOf(owner);
  if (own === null) {
    throw new UnsupportedError(
      'UNSUPPORTED_LAYER',
      `Layer '${layerName}' is a ${owner.layer.getClassName()}.`,
      'name a Dense, Conv1D, Conv2D, Conv3D or DepthwiseConv2D layer.',
    );
  }
  // Squares in float64: those of very large or small weights would be ∞ or 0 in float32.
  const values = await own.kernel.data();
  const units = values.length / own.fanIn;
  const squares = new Float64Array(units);
  values.forEach((value, i) => {
    squares[i % units] = (squares[i % units] as number) + value * value;
  });
  const norms = Array.from(squares, Math.sqrt);
  const sorted = [...norms].sort((a, b) => a - b);
  const middle = (units - 1) / 2;
  return {
    norms,
    min: sorted[0] as number,
    median: ((sorted[Math.floor(middle)] as number) + (sorted[Math.ceil(middle)] as number)) / 2,
    mean: norms.reduce((sum, norm) => sum + norm, 0) / units,
    max: sorted[units - 1] as number,
  };
}
