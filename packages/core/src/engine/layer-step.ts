/** The input of every phase of the engine: one layer in one step. */
import type * as tf from '@tensorflow/tfjs-core';
import type { Connection } from './connection.js';
import type { AvailableSignals } from './signals.js';

/** One use of a layer in a step: its input x, and its output y before bias and non-linearity. */
export interface LayerUse {
  /** x: [batch, …, cin], in the layer's own input shape. */
  readonly pre: tf.Tensor;
  /** y = x·W: [batch, …, K], in the layer's own output shape. */
  readonly post: tf.Tensor;
}

/** One layer in one step. */
export interface LayerStep {
  /** The layer's geometry. */
  readonly connection: Connection;
  /** W, kernel-shaped. */
  readonly kernel: tf.Tensor;
  /** Every use of the layer in this step, at least one; their ΔW are summed. */
  readonly calls: readonly LayerUse[];
  /** At least those that the plasticity reads. */
  readonly signals: AvailableSignals;
  /** Updates made so far, 0 at the first, for schedules. */
  readonly step: number;
}
