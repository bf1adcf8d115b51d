/** A kernel of ours: what TensorFlow.js calls in place of the stock one, which it may call in turn. */
import * as tf from '@tensorflow/tfjs-core';
import type { NodeBackend } from '../tfjs-node.js';

/** What a kernel is called with. */
export interface KernelCall {
  readonly inputs: Readonly<Record<string, tf.TensorInfo>>;
  readonly attrs: Readonly<Record<string, unknown>>;
  readonly backend: NodeBackend;
}

/** The kernel of the package under the same name. */
export type Stock = (call: KernelCall) => tf.TensorInfo;

/** One kernel. */
export interface Kernel {
  readonly name: string;
  /** Whether the stock way is kept on a GPU. */
  readonly cpuOnly?: boolean;
  run(call: KernelCall, stock: Stock): tf.TensorInfo | tf.TensorInfo[];
}

/** Runs a registered kernel. */
export function runKernel(
  name: string,
  inputs: Readonly<Record<string, tf.TensorInfo>>,
  attrs: object = {},
): tf.Tensor {
  return tf.engine().runKernel(name, inputs as tf.NamedTensorMap, attrs as tf.NamedAttrMap) as tf.Tensor;
}
