/** The forward pass of a step, and the backward pass to what reads the gradient. */
import { ConfigurationError, UnsupportedError } from '@ghl/core';
import * as tf from '@tensorflow/tfjs-core';
import type { PlannedWeight } from './assignment.js';
import { variableOf } from './model-layers.js';

/** Errors held back while tfjs records a tape: thrown through it, they would leak what it saved. */
export interface HeldBack {
  /** What `body` returns, or undefined if it throws. */
  attempt<T>(body: () => T): T | undefined;
  /** Throws the first of them. */
  release(): void;
}

export function heldBack(): HeldBack {
  const errors: unknown[] = [];
  return {
    attempt(body) {
      try {
        return body();
      } catch (error) {
        errors.push(error);
        return undefined;
      }
    },
    release() {
      if (errors.length > 0) throw errors[0];
    },
  };
}

/** What TensorFlow.js records a tape with. */
interface Recording {
  gradientDepth: number;
  activeTape: { readonly saved: tf.Tensor[] }[] | null;
}

/** Runs `body` outside the tape that is recorded, if one is; it may record tapes of its own. */
export function unrecorded<T>(body: () => T): T {
  const { state } = tf.engine() as unknown as { readonly state: Recording };
  const { gradientDepth, activeTape } = state;
  state.gradientDepth = 0;
  try {
    return body();
  } finally {
    Object.assign(state, { gradientDepth, activeTape });
  }
}

/**
 * As `tf.variableGrads`, except that one of several gradients may be missing, and that nothing leaks if one fails.
 *
 * @throws UnsupportedError `UNSUPPORTED_LAYER` for a dilated convolution in a fused kernel.
 */
function gradients(forward: () => tf.Tensor, variables: tf.Variable[]): { readonly grads: (tf.Tensor | null)[] } {
  const { state } = tf.engine() as unknown as { readonly state: Recording };
  try {
    return tf.engine().gradients(forward, variables, null as never, true);
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
      'a Conv2D layer inside a layer of your own, or with a call() of its own, must not have a dilationRate: use tf.conv2d(), whose dilation has a gradient here.',
      cause,
    );
  }
}

/**
 * Runs the forward pass, and the backward pass to the variables of readers and observers if there are any.
 *
 * @param observers Those that take a gradient if there is one.
 * @throws ConfigurationError `NO_GRADIENT` where the loss depends on none of the readers.
 */
export function backward(
  run: () => tf.Scalar | null,
  readers: readonly PlannedWeight[],
  observers: readonly PlannedWeight[],
  held: HeldBack,
): ReadonlyMap<tf.Variable, tf.Tensor | null> {
  const variables = [...readers, ...observers].map(({ weight }) => variableOf(weight));
  if (variables.length === 0) {
    run();
    return new Map();
  }
  const forward = () => held.attempt(run) ?? tf.scalar(0);
  const { grads } = gradients(forward, variables);
  held.release();
  if (readers.length > 0 && readers.every((_, i) => grads[i] == null)) {
    throw new ConfigurationError(
      'NO_GRADIENT',
      `The loss depends on none of ${readers.map(({ path }) => path).join(', ')}.`,
      'compute the loss from the output of this model, inside the function given to minimize().',
    );
  }
  return new Map(variables.map((variable, i) => [variable, grads[i] ?? null]));
}

/**
 * Runs the forward pass.
 *
 * @param needed Whether anybody reads the loss.
 * @throws ConfigurationError `NOT_A_FUNCTION`, `NO_LOSS`, `NOT_A_LOSS`, `LOSS_SHAPE`.
 */
export function lossOf(f: unknown, needed: boolean): tf.Scalar | null {
  if (typeof f !== 'function') {
    throw new ConfigurationError(
      'NOT_A_FUNCTION',
      `The forward pass is ${f}, which is no function.`,
      'give minimize() a function that returns the scalar loss.',
    );
  }
  const result = f() ?? null;
  if (result === null) {
    if (!needed) return null;
    throw new ConfigurationError(
      'NO_LOSS',
      'The function given to minimize() returned nothing, but its loss is read.',
      'return the scalar loss.',
    );
  }
  if (result instanceof Promise) {
    result.catch(() => {}); // its own failure would be reported as unhandled
    throw new ConfigurationError(
      'NOT_A_LOSS',
      'The function given to minimize() returned a promise.',
      'do the forward pass at once: await data before the step.',
    );
  }
  if (!(result instanceof tf.Tensor) || result.dtype !== 'float32') {
    const kind = Array.isArray(result) ? 'array' : typeof result;
    const what = result instanceof tf.Tensor ? `a tensor of ${result.dtype}` : `no tensor, but this ${kind}: ${result}`;
    throw new ConfigurationError(
      'NOT_A_LOSS',
      `The function given to minimize() returned ${what}.`,
      'return the scalar loss, a tensor of float32, or nothing if nobody reads it.',
    );
  }
  if (result.rank !== 0) {
    throw new ConfigurationError(
      'LOSS_SHAPE',
      `The loss has shape [${result.shape}].`,
      'return a scalar: tf.mean() of the losses of the examples.',
    );
  }
  return result as tf.Scalar;
}
