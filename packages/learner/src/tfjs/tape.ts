/** The gradient tape of TensorFlow.js: gradients that leak nothing, and code outside the tape. */
import { UnsupportedError } from '@ghl/core';
import * as tf from '@tensorflow/tfjs-core';

/** The state of the engine's tape. */
interface EngineInternals {
  readonly state: { gradientDepth: number; activeTape: { readonly saved: tf.Tensor[] }[] | null };
}

const tapeState = () => (tf.engine() as unknown as EngineInternals).state;

/** Runs `body` outside the current tape, if there is one. `body` may record its own tapes. */
export function unrecorded<T>(body: () => T): T {
  const state = tapeState();
  const { gradientDepth, activeTape } = state;
  state.gradientDepth = 0;
  try {
    return body();
  } finally {
    Object.assign(state, { gradientDepth, activeTape });
  }
}

/**
 * Works like `tf.variableGrads`, except that the gradient of a variable may be missing and a failure leaks nothing.
 *
 * @throws UnsupportedError `UNSUPPORTED_LAYER` for a dilated convolution in a fused kernel.
 */
export function gradientsOf(forward: () => tf.Tensor, variables: tf.Variable[]): readonly (tf.Tensor | null)[] {
  const state = tapeState();
  try {
    return tf.engine().gradients(forward, variables, null as never, true).grads;
  } catch (cause) {
    if (state.gradientDepth === 0) {
      for (const { saved } of state.activeTape ?? []) tf.dispose(saved);
      state.activeTape = null;
    }
    const { message } = cause as Error;
    if (!/dilation rates/.test(message)) throw cause;
    throw new UnsupportedError(
      'UNSUPPORTED_LAYER',
      `A layer has no gradient. TensorFlow.js says: ${message}`,
      'a Conv2D layer inside a custom layer, or one with a custom call(), must not have a dilationRate. Use tf.conv2d() there.',
      cause,
    );
  }
}
