/** A measurement of one layer that sees the layer's output batch by batch, and the loop that feeds measurements. */

import * as tf from '@tensorflow/tfjs-core';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { type Batches, eachBatch, type Inputs, type ReadOptions } from './examples.js';
import { layerAt, outputsOf } from './layers.js';

/** Some options, each of which may be undefined. */
export type Optional<Options, Name extends keyof Options> = { readonly [N in Name]?: Options[N] | undefined };

/** A measurement of one layer. */
export interface Measure<Batch extends Inputs, Result> {
  /**
   * Sees the output of the layer for a batch, and disposes of neither.
   *
   * @param first The number of examples before the batch.
   */
  add(output: tf.Tensor, batch: Batch, first: number): Promise<void>;
  /** The result, after the last batch. */
  result(): Result;
}

/** Feeds the outputs of layers to their measurements, with one forward pass for each batch. */
export async function feed<Batch extends Inputs>(
  model: LayersModel,
  measures: ReadonlyMap<string, readonly Pick<Measure<Batch, unknown>, 'add'>[]>,
  name: string,
  examples: Batch | Batches<Batch>,
  options: ReadOptions,
): Promise<void> {
  const chosen = [...measures.keys()].map((path) => layerAt(model, path));
  await eachBatch(name, examples, options, async (batch, first) => {
    const outputs = outputsOf(model, chosen, batch.xs);
    try {
      for (const [i, { path }] of chosen.entries()) {
        for (const measure of measures.get(path) ?? []) await measure.add(outputs[i] as tf.Tensor, batch, first);
      }
    } finally {
      tf.dispose(outputs);
    }
  });
}

/** The result of one measurement of one layer. */
export async function measured<Batch extends Inputs, Result>(
  model: LayersModel,
  path: string,
  measure: Measure<Batch, Result>,
  name: string,
  examples: Batch | Batches<Batch>,
  options: ReadOptions,
): Promise<Result> {
  await feed(model, new Map([[path, [measure]]]), name, examples, options);
  return measure.result();
}
