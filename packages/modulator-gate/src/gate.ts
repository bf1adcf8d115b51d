/** A gate as third factor: plasticity happens where, or when, a signal opens it, as dopamine is thought to do. */
import type { Hyperparameter, Signals } from '@ghl/core';
import {
  type BaselineState,
  checkNotEmpty,
  choice,
  hyperparameter,
  initBaseline,
  type ModulatorContext,
  type Plugin,
  predictionError,
  readOptions,
  specOf,
  valueAt,
  type WeightModulator,
} from '@ghl/core/plugin';
import * as tf from '@tensorflow/tfjs-core';

/** The signals that a gate can watch. Surprise is abs(r − r̄), r̄ a running baseline of the reward (λ = 0.99). */
export type GateSignal = 'gradient' | 'reward' | 'loss' | 'surprise';

/** The signal that a gate on `On` reads. */
export type GateReads<On extends GateSignal> = On extends 'gradient' | 'loss' ? On : 'reward';

/** Options of {@link gate}. */
export interface GateOptions<On extends GateSignal> {
  /** The signal that opens the gate. */
  readonly on: On;
  /** θ: the gate opens above it. A number or a schedule. */
  readonly threshold: Hyperparameter;
  /** 0 (default): open or shut. Above 0: open by the logistic function of (s − θ)/width. */
  readonly width?: Hyperparameter;
  /**
   * The scope of one gate. `'unit'` and `'layer'` watch the mean gradient magnitude of the unit's or layer's
   * weights. Default `'weight'` for the gradient, `'layer'` for the rest, which are one number for all.
   */
  readonly per?: 'weight' | 'unit' | 'layer';
}

/** The state of {@link gate}. */
export type GateState = {
  /** r̄ of the reward (λ = 0.99), where the gate watches surprise; else absent. */
  readonly baseline?: BaselineState;
};

/** Not every processor divides by a width below it. */
const SHARPEST = 2 ** -126;

const SURPRISE_BASELINE = 0.99;

/**
 * A gate. Added to the weights: ΔW ⊙ open, where
 *
 *     width = 0   open = 1 if s > θ, else 0
 *     width > 0   open = 1/(1 + exp(−(s − θ)/width))
 *
 * s is abs(∂L/∂W), the reward, the loss, or the surprise; a reward per example is averaged. A shut gate leaves weights
 * bit-identical.
 *
 * @returns A modulator that reads the one signal it watches.
 * @throws ConfigurationError `BAD_VALUE`, `UNKNOWN_OPTION`.
 * @see Pawlak et al., Frontiers in Synaptic Neuroscience 2, 2010, for dopamine as a gate.
 * @example
 * ```ts
 * import { modulateEach } from '@ghl/conformance/testing';
 * import { gate } from '@ghl/modulator-gate';
 * import '@tensorflow/tfjs-backend-cpu';
 *
 * // Weights with |∂L/∂W| > 0.5 learn.
 * const modulator = gate({ on: 'gradient', threshold: 0.5 });
 * console.log(modulateEach(modulator, [[1, 2, 3]], [{ gradient: [[0.4, -0.6, 0.5]] }]));
 * // => [ [ [ 0, 2, 0 ] ] ]
 * ```
 */
export function gate<On extends GateSignal>(options: GateOptions<On>): WeightModulator<GateReads<On>, GateState> {
  const { on, threshold, width, per } = readOptions('gate', options, {
    on: choice(['gradient', 'reward', 'loss', 'surprise']),
    threshold: hyperparameter(),
    width: hyperparameter(0, { least: 0 }),
    per: choice(['weight', 'unit', 'layer'], options?.on === 'gradient' ? 'weight' : 'layer'),
  });
  const reads: 'gradient' | 'reward' | 'loss' = on === 'surprise' ? 'reward' : (on as Exclude<On, 'surprise'>);
  const watch = (signals: Partial<Signals>, { units }: ModulatorContext, state: GateState) => {
    checkNotEmpty('gate', { [reads]: signals[reads] as tf.Tensor });
    if (on === 'gradient') return { watched: magnitude(signals.gradient as tf.Tensor, per, units.fanOut), state };
    if (on !== 'surprise') return { watched: tf.mean(signals[reads] as tf.Tensor), state };
    const reward = tf.mean(signals.reward as tf.Tensor);
    const surprise = predictionError(state.baseline as BaselineState, reward, SURPRISE_BASELINE);
    return { watched: tf.abs(surprise.error), state: { baseline: surprise.state } };
  };
  return {
    spec: specOf('gate', { on, threshold, width, per }),
    actsOn: 'weights',
    reads: [reads as GateReads<On>],
    init: () => (on === 'surprise' ? { baseline: initBaseline() } : {}),
    modulate(eligibility, signals, context, before) {
      const { watched, state } = watch(signals, context, before);
      const [theta, slope] = [valueAt(threshold, context.step), valueAt(width, context.step)];
      const open =
        slope < SHARPEST
          ? tf.cast(tf.greater(watched, theta), 'float32')
          : tf.sigmoid(tf.div(tf.sub(watched, theta), slope));
      const rows = tf.reshape(eligibility, [-1, context.units.fanOut]);
      return { increment: tf.reshape(tf.mul(rows, open), eligibility.shape), state };
    },
  };
}

/** abs(∂L/∂W) as [D, K], its mean over each unit's weights as [1, K], or over the layer as []. */
function magnitude(gradient: tf.Tensor, per: 'weight' | 'unit' | 'layer', fanOut: number): tf.Tensor {
  const size = tf.abs(tf.reshape(gradient, [-1, fanOut]));
  if (per === 'weight') return size;
  return per === 'unit' ? tf.mean(size, 0, true) : tf.mean(size);
}

/** The gate, described for lists and tests of parts. */
export const plugin: Plugin = {
  kind: 'modulator',
  name: 'gate',
  make: gate,
  examples: [
    [{ on: 'surprise', threshold: 0.05 }],
    [{ on: 'gradient', threshold: 1e-3 }],
    [{ on: 'gradient', threshold: 1e-3, width: 1e-3, per: 'unit' }],
    [{ on: 'gradient', threshold: 0, per: 'layer' }],
    [{ on: 'reward', threshold: 0.2 }],
    [{ on: 'loss', threshold: 1e-3 }],
  ],
};
