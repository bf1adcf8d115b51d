/** The forward pass of a step, and the backward pass to what reads the gradient. */
import { ConfigurationError } from '@ghl/core';
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

/** Runs the forward pass, and the backward pass to the readers' variables if there are any. */
export function backward(
  run: () => tf.Scalar | null,
  readers: readonly PlannedWeight[],
  held: HeldBack,
): ReadonlyMap<tf.Variable, tf.Tensor | null> {
  if (readers.length === 0) {
    run();
    return new Map();
  }
  const variables = readers.map(({ weight }) => variableOf(weight));
  const forward = () => held.attempt(run) ?? tf.scalar(0);
  const { grads } = tf.engine().gradients(forward, variables, null as never, true);
  held.release();
  if (grads.every((grad) => grad == null)) {
    throw new ConfigurationError(
      'NO_GRADIENT',
      `The loss depends on none of ${readers.map(({ path }) => path).join(', ')}.`,
      {
        help: 'compute the loss from the output of this model, inside the function given to minimize().',
      },
    );
  }
  return new Map(variables.map((variable, i) => [variable, grads[i] ?? null]));
}

export function checkLoss(loss: tf.Scalar | null, needed: boolean): void {
  if (loss === null && needed) {
    throw new ConfigurationError(
      'NO_LOSS',
      'The function given to minimize() returned nothing, but its loss is read.',
      {
        help: 'return the scalar loss.',
      },
    );
  }
  if (loss !== null && loss.rank !== 0) {
    throw new ConfigurationError('LOSS_SHAPE', `The loss has shape [${loss.shape}].`, {
      help: 'return a scalar: tf.mean() of the losses of the examples.',
    });
  }
}
