/** The forward pass of a step, and the backward pass to every weight whose gradient is read. */
import { ConfigurationError } from '@ghl/core';
import * as tf from '@tensorflow/tfjs-core';
import type { PlannedWeight } from './assignment.js';
import { variableOf } from './tfjs/internals.js';
import { gradientsOf } from './tfjs/tape.js';

/** Collects errors while tfjs records a tape. An error thrown through the tape would leak its saved tensors. */
export interface DeferredErrors {
  /** Returns the result of `body`, or undefined if it throws. */
  run<T>(body: () => T): T | undefined;
  /** Throws the first error, if there is one. */
  rethrow(): void;
}

export function deferErrors(): DeferredErrors {
  const errors: unknown[] = [];
  return {
    run(body) {
      try {
        return body();
      } catch (error) {
        errors.push(error);
        return undefined;
      }
    },
    rethrow() {
      if (errors.length > 0) throw errors[0];
    },
  };
}

/**
 * Runs the forward pass, then the backward pass if there are readers or observers.
 *
 * @param readers Weights that need their gradient.
 * @param observers Weights that use their gradient if there is one.
 * @throws ConfigurationError `NO_GRADIENT` if the loss depends on none of the readers.
 */
export function backward(
  run: () => tf.Scalar | null,
  readers: readonly PlannedWeight[],
  observers: readonly PlannedWeight[],
  errors: DeferredErrors,
): ReadonlyMap<tf.Variable, tf.Tensor | null> {
  const variables = [...readers, ...observers].map(({ weight }) => variableOf(weight));
  if (variables.length === 0) {
    run();
    return new Map();
  }
  const gradients = gradientsOf(() => errors.run(run) ?? tf.scalar(0), variables);
  errors.rethrow();
  if (readers.length > 0 && readers.every((_, i) => gradients[i] == null)) {
    throw new ConfigurationError(
      'NO_GRADIENT',
      `The loss depends on none of ${readers.map(({ path }) => path).join(', ')}.`,
      'compute the loss from the output of this model, inside the function given to minimize().',
    );
  }
  return new Map(variables.map((variable, i) => [variable, gradients[i] ?? null]));
}

/**
 * Runs the forward pass.
 *
 * @param isRead Whether anything reads the loss.
 * @throws ConfigurationError `NOT_A_FUNCTION`, `NO_LOSS`, `NOT_A_LOSS`, `LOSS_SHAPE`.
 */
export function lossOf(f: unknown, isRead: boolean): tf.Scalar | null {
  if (typeof f !== 'function') {
    throw new ConfigurationError(
      'NOT_A_FUNCTION',
      `The forward pass is not a function, but ${f}.`,
      'give minimize() a function that returns the scalar loss.',
    );
  }
  const result = f() ?? null;
  if (result === null) {
    if (!isRead) return null;
    throw new ConfigurationError(
      'NO_LOSS',
      'The function given to minimize() returned nothing, but its loss is read.',
      'return the scalar loss.',
    );
  }
  if (result instanceof Promise) {
    result.catch(() => {}); // its own rejection would be reported as unhandled
    throw new ConfigurationError(
      'NOT_A_LOSS',
      'The function given to minimize() returned a promise.',
      'run the forward pass synchronously: await data before the step.',
    );
  }
  if (!(result instanceof tf.Tensor) || result.dtype !== 'float32') {
    const kind = Array.isArray(result) ? 'array' : typeof result;
    const value = result instanceof tf.Tensor ? `a tensor of ${result.dtype}` : `${result}, of type ${kind}`;
    throw new ConfigurationError(
      'NOT_A_LOSS',
      `The function given to minimize() returned ${value}.`,
      'return the scalar loss, a float32 tensor; return nothing if the loss is not read.',
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
