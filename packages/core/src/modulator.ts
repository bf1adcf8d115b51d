/**
 * A global modulator: the third factor. It multiplies the ΔW of a local rule by a signal that reaches the whole
 * network. A factor acts on ΔW if it has the shape of the weights, is one number, or is one number per unit. A factor
 * per example or per activity acts on the gate, before the examples are summed.
 */
import type * as tf from '@tensorflow/tfjs-core';
import type { Operation } from './backend/kernels.js';
import type { Spec, Specified } from './spec.js';
import type { Stateless, StateTree } from './state.js';
import type { IncrementResult } from './transform.js';
import type { Units } from './units.js';

/**
 * The signals that a modulator can read. Open to declaration merging: a project adds
 * `declare module '@ghl/core' { interface Signals { novelty: tf.Tensor } }` and passes `novelty` to each step.
 */
export interface Signals {
  /** ∂L/∂W of the layer's kernel, kernel-shaped. */
  readonly gradient: tf.Tensor;
  /** L, one number. */
  readonly loss: tf.Scalar;
  /** r: one number [], or one per example [batch]. */
  readonly reward: tf.Tensor;
  /** The network's input of the batch, [batch, …]. */
  readonly input: tf.Tensor;
  /** The labels of the batch as the loss receives them, [batch, …]. */
  readonly target: tf.Tensor;
}

/** The name of a signal. */
export type SignalName = keyof Signals;

/** The sizes of the layer, and the step. */
export interface ModulatorContext {
  /** Sizes of the layer. */
  readonly units: Units;
  /** Updates made so far, for schedules. */
  readonly step: number;
  /** Examples in this step's batch. */
  readonly batch: number;
}

// biome-ignore lint/suspicious/noExplicitAny: a list of modulators mixes state types, which only the modulator reads
interface Modulator<R extends SignalName, S extends StateTree = any> extends Specified {
  /** The signals that it reads. It receives no others. */
  readonly reads: readonly R[];
  /** The state before the first step. */
  init(units: Units): S;
}

/** A third factor that acts on ΔW. */
// biome-ignore lint/suspicious/noExplicitAny: as above
export interface WeightModulator<R extends SignalName = SignalName, S extends StateTree = any> extends Modulator<R, S> {
  /** ΔW, after the examples are summed. */
  readonly actsOn: 'weights';
  /**
   * The amount to add to the weights, before step size and decay.
   *
   * @param eligibility ΔW of the local rule after its wrappers, kernel-shaped.
   */
  modulate(eligibility: tf.Tensor, signals: Pick<Signals, R>, context: ModulatorContext, state: S): IncrementResult<S>;
  /** The modulator as an operation, for a backend that fuses a step into one kernel; only for one without state. */
  readonly operation?: Operation;
}

/** The output of a third factor per example for one step. */
export interface FactorResult<S extends StateTree> {
  /** m: one number per example, [batch]. */
  readonly factor: tf.Tensor1D;
  /** The modulator's state after this step. */
  readonly state: S;
}

/** A third factor with one number per example, which acts on the gate: G becomes m⊙G, and M follows. */
// biome-ignore lint/suspicious/noExplicitAny: as above
export interface PerExampleModulator<R extends SignalName = SignalName, S extends StateTree = any>
  extends Modulator<R, S> {
  /** G, before the examples are summed. */
  readonly actsOn: 'example';
  /** m: one number per example, [batch]. */
  factor(signals: Pick<Signals, R>, context: ModulatorContext, state: S): FactorResult<S>;
}

/** The context of a third factor per activity. */
export interface ActivityContext extends ModulatorContext {
  /**
   * y = x·W of this layer, before bias and non-linearity: [P, K]. The P / batch rows of one example are consecutive, in
   * the order of the batch, also if the layer was called several times: `reshape(post, [batch, -1])` has one row per
   * example.
   */
  readonly post: tf.Tensor2D;
}

/** The output of a third factor per activity for one step. */
export interface ActivityFactorResult<S extends StateTree> {
  /** m: one number per activity, [P, K], in the order of `post`. */
  readonly factor: tf.Tensor2D;
  /** The modulator's state after this step. */
  readonly state: S;
}

/**
 * A third factor with one number per activity, which acts on the gate: G becomes m⊙G, and M follows. It may read its
 * own layer's y, which is local.
 */
// biome-ignore lint/suspicious/noExplicitAny: as above
export interface PerActivityModulator<R extends SignalName = SignalName, S extends StateTree = any>
  extends Modulator<R, S> {
  /** Each number of G. */
  readonly actsOn: 'activity';
  /** m: one number per activity, [P, K]. */
  factor(signals: Pick<Signals, R>, context: ActivityContext, state: S): ActivityFactorResult<S>;
}

/** A third factor of any kind. */
// biome-ignore lint/suspicious/noExplicitAny: as above
export type GlobalModulator<R extends SignalName = SignalName, S extends StateTree = any> =
  | WeightModulator<R, S>
  | PerExampleModulator<R, S>
  | PerActivityModulator<R, S>;

/**
 * A modulator of weights without state, from its spec, the signals that it reads, and the function from ΔW to the
 * increment.
 *
 * @param operation What `modulate` computes, for a backend that fuses a step into one kernel.
 * @example
 * ```ts
 * import { modulateEach } from '@ghl/conformance/testing';
 * import { specOf, statelessModulator } from '@ghl/core/plugin';
 * import * as tf from '@tensorflow/tfjs-core';
 * import '@tensorflow/tfjs-backend-cpu';
 *
 * const descend = () =>
 *   statelessModulator(specOf('descend'), ['gradient'], (eligibility, { gradient }) =>
 *     tf.neg(tf.mul(gradient, eligibility)),
 *   );
 * console.log(modulateEach(descend(), [[2, 3]], [{ gradient: [[1, -1]] }]));
 * // => [ [ [ -2, 3 ] ] ]
 * ```
 */
export function statelessModulator<R extends SignalName>(
  spec: Spec,
  reads: readonly R[],
  modulate: (eligibility: tf.Tensor, signals: Pick<Signals, R>, context: ModulatorContext) => tf.Tensor,
  operation?: Operation,
): WeightModulator<R, Stateless> {
  return {
    spec,
    actsOn: 'weights',
    reads,
    init: () => ({}),
    modulate: (eligibility, signals, context, state) => ({ increment: modulate(eligibility, signals, context), state }),
    ...(operation && { operation }),
  };
}
