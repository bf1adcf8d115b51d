/**
 * Overrides of `layer.call` for the duration of one step. Only an override can record the net input y of a layer,
 * before bias and activation. Only here does tfjs request the kernel gradient call by call, so that one pass over x can
 * compute it together with the correlation of the local rule.
 */
import { UnsupportedError } from '@ghl/core';
import type { Connection, LayerUse } from '@ghl/core/engine';
import * as tf from '@tensorflow/tfjs-core';
import type * as tfl from '@tensorflow/tfjs-layers';
import { originalOf } from './connections.js';
import { internalsOf, kernelOf, type LayerCall, variableOf } from './internals.js';

/** Receives x, y and ∂L/∂y of each call of a layer. */
export interface Listener {
  /** Receives x and y of a call, and owns both tensors. */
  onCall?(call: LayerUse): void;
  /**
   * Computes the gradient of the kernel for one call, in place of `connection.correlate(pre, [∂L/∂y])`.
   *
   * @param index The index of the call in this step, from 0.
   */
  onKernelGradient(cotangent: tf.Tensor, pre: tf.Tensor, index: number): tf.Tensor;
}

/** An override of `call` for each layer. */
export type LayerOverrides = Map<tfl.layers.Layer, LayerCall>;

/** The activations that tfjs-layers fuses into dense and conv2d layers, by class name. It calls `apply` of others. */
const fused: { readonly [name: string]: (y: tf.Tensor) => tf.Tensor } = {
  linear: (y) => y,
  relu: tf.relu,
  elu: tf.elu,
};

/** Computes activation(x·W + b) as the stock layer does, and reports x, y and ∂L/∂y to `listener`. */
export function recordingCall(tfLayer: tfl.layers.Layer, connection: Connection, listener: Listener): LayerCall {
  const layer = internalsOf(tfLayer);
  let calls = 0;
  const { kind } = connection;
  return (inputs, kwargs) =>
    tf.tidy(() => {
      if (kind === 'dense') layer.invokeCallHook(inputs, kwargs); // only dense layers have the hook
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

/** Runs a layer in inference mode: no dropout, no batch statistics, no update of moving averages. */
export function inferenceCall(layer: tfl.layers.Layer): LayerCall {
  const { call } = layer as { call: LayerCall };
  return (inputs, kwargs) => call.call(layer, inputs, { ...kwargs, training: false });
}

/**
 * Runs a layer in inference mode, and reports whether its output depends on the training mode or carries a mask.
 *
 * @param events `onTraining` is called if the layer reads the training mode, `onMask` if its output has a mask.
 */
export function watchTraining(
  layer: tfl.layers.Layer,
  { onTraining, onMask }: { onTraining(): void; onMask(): void },
): LayerCall {
  const { call } = layer as { call: LayerCall };
  return (inputs, kwargs) => {
    if (layer.supportsMasking && layer.computeMask(inputs) != null) onMask();
    const watched = {
      ...kwargs,
      get training() {
        onTraining();
        return false;
      },
    };
    return call.call(layer, inputs, watched);
  };
}

/**
 * Overrides the calls of some layers while `body` runs, then restores the original calls.
 *
 * @param body Receives a function that runs another function with the original calls.
 * @throws UnsupportedError `UNSUPPORTED_LAYER` if a layer does not allow its `call` to be replaced.
 */
export function withOverrides<T>(
  overrides: ReadonlyMap<tfl.layers.Layer, LayerCall>,
  body: (withOriginals: <R>(inner: () => R) => R) => T,
): T {
  const originals = [...overrides.keys()].map(
    (layer) => [layer, Object.getOwnPropertyDescriptor(layer, 'call')] as const,
  );
  const replace = () => {
    for (const [layer, call] of overrides) {
      originalOf.set(call, layer.call as LayerCall);
      // An assignment would fail for a class that declares `call` as an accessor or as read-only.
      if (Reflect.defineProperty(layer, 'call', { value: call, configurable: true, writable: true })) continue;
      throw new UnsupportedError(
        'UNSUPPORTED_LAYER',
        `Layer '${layer.name}' does not allow its call() to be replaced.`,
        'declare call() as a method of the class, or as a configurable property.',
      );
    }
  };
  const restore = () => {
    for (const [layer, original] of originals) {
      if (original === undefined) delete (layer as { call?: LayerCall }).call;
      else Object.defineProperty(layer, 'call', original);
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

/** The engine function behind `tf.customGrad`. Its gradients are lazy: one that nothing reads is never computed. */
interface EngineInternals {
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
  return (tf.engine() as unknown as EngineInternals).runKernelFunc({
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
