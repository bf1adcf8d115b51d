/** A kernel that replaces the stock kernel of its name, and may call it. */
import * as tf from '@tensorflow/tfjs-core';
import type { NodeBackend } from '../tfjs-node.js';

/** The call of a kernel. */
export interface KernelCall {
  readonly inputs: Readonly<Record<string, tf.TensorInfo>>;
  readonly attrs: Readonly<Record<string, unknown>>;
  readonly backend: NodeBackend;
}

/** The kernel of the package with the same name. */
export type Stock = (call: KernelCall) => tf.TensorInfo;

/** A kernel of this adapter. */
export interface Kernel {
  readonly name: string;
  /** Whether it is registered on a CPU only. */
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
