/** The common part of the three layers: the options of any TensorFlow.js layer, and a single input tensor. */
import { completeTensorFlow } from '@ghl/core/backend';
import { checkOptions } from '@ghl/core/plugin';
import type * as tf from '@tensorflow/tfjs-core';
import type { layers } from '@tensorflow/tfjs-layers';

// A model may be built before any function of this package is called.
completeTensorFlow();

/** The options that every TensorFlow.js layer takes: `name`, `trainable`, and `inputShape` for a first layer. */
export type LayerOptions = NonNullable<ConstructorParameters<typeof layers.Layer>[0]>;

const known = ['name', 'trainable', 'inputShape', 'batchInputShape', 'batchSize', 'dtype', 'inputDType', 'weights'];

/**
 * Throws for options that neither the layer nor TensorFlow.js knows.
 *
 * @throws ConfigurationError `UNKNOWN_OPTION`.
 */
export function checkLayerOptions(factory: string, options: object, own: readonly string[]): void {
  checkOptions(factory, options, [...own, ...known]);
}

/** The tensor in what TensorFlow.js hands to `Layer.call`. */
export function onlyTensor(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
  return Array.isArray(inputs) ? inputs[0]! : inputs;
}

/** Whether this call trains the layer. A frozen layer (`trainable: false`) behaves as at inference. */
export function trains(layer: layers.Layer, kwargs: { training?: boolean } | null | undefined): boolean {
  return Boolean(kwargs?.training) && layer.trainable;
}
