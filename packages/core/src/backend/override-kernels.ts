/** Registers the kernels of an adapter over those of TensorFlow.js. */
import * as tf from '@tensorflow/tfjs-core';

/** A kernel of an adapter. */
export interface KernelOverride {
  /** The name of the kernel. */
  readonly name: string;
  /** Returns the kernel. It may call `stock`, the kernel that it replaces; undefined if the backend has none. */
  create(stock: tf.KernelFunc | undefined): tf.KernelFunc;
}

/**
 * Registers kernels for a backend. A kernel replaces the one of its name. Of several kernels with one name, each
 * replaces the one before it.
 *
 * @returns A function that restores the kernels that were registered before. A kernel that other code has registered
 * since then stays.
 */
export function overrideKernels(backendName: string, overrides: Iterable<KernelOverride>): () => void {
  const registered: (readonly [ours: tf.KernelConfig, stock: tf.KernelConfig | undefined])[] = [];
  const restore = () => {
    for (const [ours, stock] of registered.splice(0).reverse()) {
      if (tf.getKernel(ours.kernelName, backendName) !== ours) continue;
      tf.unregisterKernel(ours.kernelName, backendName);
      if (stock !== undefined) tf.registerKernel(stock);
    }
  };
  try {
    for (const { name, create } of overrides) {
      const stock = tf.getKernel(name, backendName) as tf.KernelConfig | undefined;
      const ours = { ...stock, kernelName: name, backendName, kernelFunc: create(stock?.kernelFunc) };
      if (stock !== undefined) tf.unregisterKernel(name, backendName);
      tf.registerKernel(ours);
      registered.push([ours, stock]);
    }
  } catch (error) {
    restore();
    throw error;
  }
  return restore;
}
