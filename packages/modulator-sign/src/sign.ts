/** The sign of the gradient as third factor: the local rule says how far a weight moves, the gradient which way. */
import { checkChoice, checkOptions, specOf, type WeightModulator } from '@ghl/core/plugin';
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
 */
export function sign(options: SignOptions = {}): WeightModulator<'gradient', Record<string, never>> {
  checkOptions('sign', options, ['mode']);
  const { mode = 'magnitude' } = options;
  checkChoice('sign mode', mode, ['magnitude', 'flip']);
  return {
    spec: specOf('sign', { mode }),
    actsOn: 'weights',
    reads: ['gradient'],
    init: () => ({}),
    modulate: (eligibility, { gradient }, _, state) => {
      const distance = mode === 'magnitude' ? tf.abs(eligibility) : eligibility;
      return { increment: tf.neg(tf.mul(tf.sign(gradient), distance)), state };
    },
    operation: [mode],
  };
}
