/**
 * A transform: a pure function from an increment to an increment, with state. A `chain` applies
 * transforms after its head: step sizes, decay, momentum.
 */
import * as tf from '@tensorflow/tfjs-core';
import type { Operation } from './backend/kernels.js';
import { checkHyperparameter, type Hyperparameter, valueAt } from './schedule.js';
import { type Spec, type Specified, specOf } from './spec.js';
import type { Stateless, StateTree } from './state.js';
import type { Units } from './units.js';

/** The inputs of a transform. */
export interface TransformContext {
  /** The weights that the increment will be added to. Reshaped to [fanIn, fanOut], column k is unit k. */
  readonly weights: tf.Tensor;
  /** Sizes of the layer. Each number of a bias or scale is a unit with one input. */
  readonly units: Units;
  /** Updates made so far, for schedules. */
  readonly step: number;
}

/** An increment and the next state: the result of a third factor, a transform, or a plasticity. */
export interface IncrementResult<S extends StateTree> {
  /** Δ: the amount added to the weights, in their shape. */
  readonly increment: tf.Tensor;
  /** The state after this step. */
  readonly state: S;
}

/** A step of a chain. The engine disposes of the tensors that `update` allocates. */
// biome-ignore lint/suspicious/noExplicitAny: a chain mixes state types, which only the transform itself reads
export interface Transform<S extends StateTree = any> extends Specified {
  /** The state before the first step. */
  init(shape: readonly number[], units: Units): S;
  /** The next increment, and the next state. */
  update(increment: tf.Tensor, context: TransformContext, state: S): IncrementResult<S>;
  /** The transform as an operation at a step, for a backend that fuses; only for one without state. */
  operation?(step: number): Operation;
  /**
   * `'value'` if it constrains each new weight W + Δ, `'norm'` if it constrains the norm of each unit. In a chain,
   * constraints follow all other transforms, and one of the norm comes last. A step scale acts before them.
   */
  readonly constraint?: 'value' | 'norm';
  /** The transforms of a chain without a head, in order; a chain with a head applies them one by one. */
  readonly parts?: readonly Transform[];
}

/**
 * A transform without state, from its spec and the function from increment to increment.
 *
 * @param operation What `update` computes at a step, for a backend that fuses a step into one kernel.
 * @example
 * ```ts
 * import { stepOnce } from '@ghl/conformance/testing';
 * import { chain, gradientDescent } from '@ghl/core';
 * import { specOf, statelessTransform } from '@ghl/core/plugin';
 * import * as tf from '@tensorflow/tfjs-core';
 * import '@tensorflow/tfjs-backend-cpu';
 *
 * const negate = () => statelessTransform(specOf('negate'), (increment) => tf.neg(increment));
 * const ascent = chain(gradientDescent(), negate());
 * console.log(stepOnce(ascent, { input: [[1, 2]], weights: [[1], [0.5]] }, { gradient: [[3], [-1]] }));
 * // => [ [ 3 ], [ -1 ] ]
 * ```
 */
export function statelessTransform(
  spec: Spec,
  update: (increment: tf.Tensor, context: TransformContext) => tf.Tensor,
  operation?: (step: number) => Operation,
): Transform<Stateless> {
  return {
    spec,
    init: () => ({}),
    update: (increment, context, state) => ({ increment: update(increment, context), state }),
    ...(operation && { operation }),
  };
}

/** Transforms applied in order, as one transform whose state is the list of theirs. */
export function sequence(spec: Spec, parts: readonly Transform[]): Transform<readonly StateTree[]> {
  return {
    spec,
    parts,
    init: (shape, units) => parts.map((part) => part.init(shape, units)),
    update(increment, context, states) {
      let delta = increment;
      const next = parts.map((part, i) => {
        const result = part.update(delta, context, states[i] as StateTree);
        delta = result.increment;
        return result.state;
      });
      return { increment: delta, state: next };
    },
  };
}

/**
 * Δ ↦ η·Δ: the step size.
 *
 * @param factor η, a number or a schedule.
 * @throws ConfigurationError `BAD_VALUE`.
 * @example
 * ```ts
 * import { stepOnce } from '@ghl/conformance/testing';
 * import { chain, gradientDescent, scaleBy } from '@ghl/core';
 * import '@tensorflow/tfjs-backend-cpu';
 *
 * const halved = chain(gradientDescent(), scaleBy(0.5));
 * console.log(stepOnce(halved, { input: [[1, 2]], weights: [[1], [0.5]] }, { gradient: [[3], [-1]] }));
 * // => [ [ -1.5 ], [ 0.5 ] ]
 * ```
 */
export function scaleBy(factor: Hyperparameter): Transform {
  const eta = checkHyperparameter('scaleBy', factor);
  return statelessTransform(
    specOf('scaleBy', factor),
    (increment, { step }) => tf.mul(increment, valueAt(eta, step)),
    (step) => ['scale', valueAt(eta, step)],
  );
}

/**
 * Δ ↦ Δ − λ·W: weight decay. Before `scaleBy` it is coupled to the step size, as in PyTorch's SGD; after it, decoupled.
 *
 * @param rate λ, a number or a schedule.
 * @throws ConfigurationError `BAD_VALUE`.
 * @example
 * ```ts
 * import { stepOnce } from '@ghl/conformance/testing';
 * import { chain, decayWeights, gradientDescent } from '@ghl/core';
 * import '@tensorflow/tfjs-backend-cpu';
 *
 * // −∂L/∂W − ½·W = [−3 − 0.5, 1 − 0.25]
 * const decayed = chain(gradientDescent(), decayWeights(0.5));
 * console.log(stepOnce(decayed, { input: [[1, 2]], weights: [[1], [0.5]] }, { gradient: [[3], [-1]] }));
 * // => [ [ -3.5 ], [ 0.75 ] ]
 * ```
 */
export function decayWeights(rate: Hyperparameter): Transform {
  const lambda = checkHyperparameter('decayWeights', rate);
  return statelessTransform(
    specOf('decayWeights', rate),
    (increment, { weights, step }) => tf.sub(increment, tf.mul(weights, valueAt(lambda, step))),
    (step) => ['decay', valueAt(lambda, step)],
  );
}
