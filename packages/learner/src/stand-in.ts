/**
 * Standing in for a layer's `call` during one step. The net input y of a layer, before bias and activation, can be
 * reached in no other way; and only here does tfjs hand out the kernel's gradient call by call, where it can share one
 * pass over x with the local rule's correlation.
 */
import type { Call, Connection } from '@ghl/core';
import * as tf from '@tensorflow/tfjs-core';
import type * as tfl from '@tensorflow/tfjs-layers';
import { kernelOf, type Layer, variableOf } from './model-layers.js';

/** What a layer does with its input: the type of tfjs-layers' `Layer.call`. */
export type LayerCall = (inputs: tf.Tensor | tf.Tensor[], kwargs: { training?: boolean }) => tf.Tensor | tf.Tensor[];

/** What a stand-in tells about each use of its layer. */
export interface Listener {
  /** x and y of a call; the tensors are the listener's to dispose of. Absent where nobody wants them. */
  onCall?(call: Call): void;
  /**
   * The gradient of the kernel by one call, in place of `connection.correlate(pre, [∂L/∂y])`.
   *
   * @param index Which call of the step it was, from 0.
   */
  onKernelGradient(cotangent: tf.Tensor, pre: tf.Tensor, index: number): tf.Tensor;
}

/** The layer's own arithmetic, activation(x·W + b), taken apart so that `listener` hears of x, y and ∂L/∂y. */
export function listening(layer: Layer, connection: Connection, listener: Listener): LayerCall {
  let calls = 0;
  return (inputs, kwargs) =>
    tf.tidy(() => {
      layer.invokeCallHook(inputs, kwargs);
      const pre = (Array.isArray(inputs) ? inputs[0] : inputs) as tf.Tensor;
      const index = calls++;
      const kernel = variableOf(kernelOf(layer) as tfl.LayerVariable);
      let post = project(connection, pre, kernel, listener, index);
      if (layer.bias != null) post = tf.add(post, layer.bias.read());
      return layer.activation == null ? post : layer.activation.apply(post);
    });
}

/** The layer as at inference: no dropout, no batch statistics, no moving averages moved. */
export function atInference(layer: Layer): LayerCall {
  const { call } = layer as unknown as { call: LayerCall };
  return (inputs, kwargs) => call.call(layer, inputs, { ...kwargs, training: false });
}

/** Runs `body` with some layers' calls replaced, and puts the original ones back whatever happens. */
export function withStandIns<T>(standIns: ReadonlyMap<Layer, LayerCall>, body: () => T): T {
  const originals: [layer: { call?: LayerCall }, own: LayerCall | undefined][] = [];
  try {
    for (const [layer, call] of standIns) {
      const target = layer as { call?: LayerCall };
      originals.push([target, Object.hasOwn(layer, 'call') ? target.call : undefined]);
      target.call = call;
    }
    return body();
  } finally {
    for (const [layer, own] of originals.reverse()) {
      if (own === undefined) delete layer.call;
      else layer.call = own;
    }
  }
}

/** What `tf.customGrad` is made of. Unlike it, this has lazy gradients: one that nobody needs is never computed. */
interface CustomKernels {
  runKernelFunc(kernel: {
    forwardFunc: (backend: unknown, save: (tensors: tf.Tensor[]) => void) => tf.Tensor;
    backwardsFunc: (dy: tf.Tensor, saved: tf.Tensor[]) => Record<string, () => tf.Tensor>;
    inputs: Record<string, tf.Tensor>;
  }): tf.Tensor;
}

function project(
  connection: Connection,
  pre: tf.Tensor,
  kernel: tf.Variable,
  listener: Listener,
  index: number,
): tf.Tensor {
  return (tf.engine() as unknown as CustomKernels).runKernelFunc({
    forwardFunc: (_, save) => {
      const post = connection.forward(pre, kernel);
      save([pre, kernel]);
      listener.onCall?.({ pre: tf.keep(tf.clone(pre)), post: tf.keep(tf.clone(post)) });
      return post;
    },
    backwardsFunc: (dy, [savedPre, savedKernel]) => ({
      pre: () => connection.backward(dy, savedKernel as tf.Tensor, pre.shape),
      kernel: () => listener.onKernelGradient(dy, savedPre as tf.Tensor, index),
    }),
    inputs: { pre, kernel },
  });
}
