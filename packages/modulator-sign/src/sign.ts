/** The sign of the gradient as third factor: the local rule says how far a weight moves, the gradient which way. */
import type { Signals } from '@ghl/core';
import {
  choice,
  type Plugin,
  readOptions,
  type Stateless,
  specOf,
  statelessModulator,
  type WeightModulator,
} from '@ghl/core/plugin';
import * as tf from '@tensorflow/tfjs-core';

/** Options of {@link sign}. */
export interface SignOptions {
  /**
   * `'magnitude'` (default): the gradient alone gives the direction (eq. 5). `'flip'`: it flips the direction of the
   * local rule (eq. 1).
   */
  readonly mode?: 'magnitude' | 'flip';
}

/**
 * GHL's modulator. Added to the weights: −sign(∂L/∂W) ⊙ |ΔW| (mode `'magnitude'`, eq. 5), or −sign(∂L/∂W) ⊙ ΔW (mode
 * `'flip'`, eq. 1). sign(0) = 0: such a weight stays. With `'magnitude'` the step descends the loss to first order.
 *
 * The paper prints a plus sign; its code hands sign(∂L/∂W)⊙|ΔW| to an optimizer that descends, and so do we.
 *
 * @returns A modulator that reads the gradient and keeps no state.
 * @throws ConfigurationError `BAD_VALUE`, `UNKNOWN_OPTION`.
 * @see Hua, Zhao et al., "Hebbian Learning with Global Direction", ICASSP 2026, eqs. 1, 5 and 6.
 * @example
 * ```ts
 * import { modulateEach } from '@ghl/conformance/testing';
 * import { sign } from '@ghl/modulator-sign';
 * import '@tensorflow/tfjs-backend-cpu';
 *
 * const [eligibility, gradient] = [[[0.5, -2]], [[3, -1]]];
 * console.log(modulateEach(sign(), eligibility, [{ gradient }]));
 * // => [ [ [ -0.5, 2 ] ] ]
 * console.log(modulateEach(sign({ mode: 'flip' }), eligibility, [{ gradient }]));
 * // => [ [ [ -0.5, -2 ] ] ]
 * ```
 */
export function sign(options: SignOptions = {}): WeightModulator<'gradient', Stateless> {
  const { mode } = readOptions('sign', options, { mode: choice(['magnitude', 'flip'], 'magnitude') });
  const modulate = (eligibility: tf.Tensor, { gradient }: Pick<Signals, 'gradient'>) => {
    const distance = mode === 'magnitude' ? tf.abs(eligibility) : eligibility;
    return tf.neg(tf.mul(tf.sign(gradient), distance));
  };
  return statelessModulator(specOf('sign', { mode }), ['gradient'], modulate, [mode]);
}

/** The sign, described for lists and tests of parts. */
export const plugin: Plugin = {
  kind: 'modulator',
  name: 'sign',
  make: sign,
  examples: [[], [{ mode: 'flip' }]],
};
