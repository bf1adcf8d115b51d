/**
 * Standing in for a layer's `call` during one step. The net input y of a layer, before bias and activation, can be
 * reached in no other way; and only here does tfjs hand out the kernel's gradient call by call, where it can share one
 * pass over x with the local rule's correlation.
 */
import { UnsupportedError } from '@ghl/core';
import type { Connection, LayerUse } from '@ghl/core/engine';
import * as tf from '@tensorflow/tfjs-core';
import type * as tfl from '@tensorflow/tfjs-layers';
import { kernelOf, type Layer, type LayerCall, standsFor, variableOf } from './model-layers.js';

/** What a stand-in tells about each use of its layer. */
export interface Listener {
  /** x and y of a call; the tensors are the listener's to dispose of. Absent where nobody wants them. */
  onCall?(call: LayerUse): void;
  /**
   * The gradient of the kernel by one call, in place of `connection.correlate(pre, [∂L/∂y])`.
   *
   * @param index Which call of the step it was, from 0.
   */
  onKernelGradient(cotangent: tf.Tensor, pre: tf.Tensor, index: number): tf.Tensor;
}

/** The activations that tfjs-layers fuses into dense and conv2d layers, by name; of others it calls `apply`. */
const fused: { readonly [name: string]: (y: tf.Tensor) => tf.Tensor } = {
  linear: (y) => y,
  relu: tf.relu,
  elu: tf.elu,
};

/** The stock arithmetic, activation(x·W + b), taken apart so that `listener` hears of x, y and ∂L/∂y. */
export function listening(layer: Layer, connection: Connection, listener: Listener): LayerCall {
  let calls = 0;
  const { kind } = connection;
  return (inputs, kwargs) =>
    tf.tidy(() => {
      if (kind === 'dense') layer.invokeCallHook(inputs, kwargs); // the others have none
      const pre = (Array.isArray(inputs) ? inputs[0] : inputs) as tf.Tensor;
      const index = calls++;
      const kernel = variableOf(kernelOf(layer) as tfl.LayerVariable);
      let post = project(connection, pre, kernel, listener, index);
      if (layer.bias != null) post = tf.add(post, layer.bias.read());
      const { activation } = layer;
      if (activation == null) return post;
      const fuse = kind === 'dense' || kind === 'conv2d' ? fused[activation.getClassName()] : undefined;
      return fuse === undefined ? activation.apply(post) : fuse(post);
    });
}

/** The layer as at inference: no dropout, no batch statistics, no moving averages moved. */
export function atInference(layer: Layer): LayerCall {
  const { call } = layer as unknown as { call: LayerCall };
  return (inputs, kwargs) => call.call(layer, inputs, { ...kwargs, training: false });
}

/**
 * Runs `body` with some layers' calls replaced, and puts the original ones back whatever happens. What `body` runs
 * through the function that is passed to it sees the original ones.
 */
export function withStandIns<T>(
  standIns: ReadonlyMap<Layer, LayerCall>,
  body: (withOriginals: <R>(inner: () => R) => R) => T,
): T {
  const originals = [...standIns.keys()].map(
    (layer) => [layer, Object.getOwnPropertyDescriptor(layer, 'call')] as const,
  );
  const replace = () => {
    for (const [layer, call] of standIns) {
      standsFor.set(call, layer.call as LayerCall);
      // Not by assignment, since a class may have declared it as an accessor or as read-only.
      if (Reflect.defineProperty(layer, 'call', { value: call, configurable: true, writable: true })) continue;
      throw new UnsupportedError(
        'UNSUPPORTED_LAYER',
        `Layer '${layer.name}' does not let its call() be replaced.`,
        'declare call() as a method of its class, or as a property that is configurable.',
      );
    }
  };
  const restore = () => {
    for (const [layer, own] of originals) {
      if (own === undefined) delete (layer as { call?: LayerCall }).call;
      else Object.defineProperty(layer, 'call', own);
    }
  };
  const between = <R>(before: () => void, inner: () => R, after: () => void): R => {
    try {
      before();
      return inner();
    } finally {
      after();
    }
  };
  return between(replace, () => body((inner) => between(restore, inner, replace)), restore);
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
