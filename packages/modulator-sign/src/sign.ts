/** The sign of the gradient as third factor: the local rule says how far a weight moves, the gradient which way. */
import { ConfigurationError, type Signals } from '@ghl/core';
import {
  checkNumber,
  choice,
  type OptionReader,
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
  /**
   * β₁ and β₂ in [0, 1], the decays of Lion. The direction is then the sign of β₁·m + (1 − β₁)·∂L/∂W, and
   * m ← β₂·m + (1 − β₂)·∂L/∂W from m = 0. Default: no momentum, the sign of ∂L/∂W.
   */
  readonly momentum?: readonly [beta1: number, beta2: number];
}

/** The state of a sign with momentum: m, [fanIn, fanOut]. */
type Momentum = { readonly momentum: tf.Tensor };

/**
 * GHL's modulator. Added to the weights: −sign(∂L/∂W) ⊙ |ΔW| (mode `'magnitude'`, eq. 5), or −sign(∂L/∂W) ⊙ ΔW (mode
 * `'flip'`, eq. 1). sign(0) = 0: such a weight stays. With `'magnitude'` the step descends the loss to first order.
 *
 * The paper prints a plus sign; its code hands sign(∂L/∂W)⊙|ΔW| to an optimizer that descends, and so do we.
 *
 * With `momentum`, the direction is that of Lion, and |ΔW| its length. On `constant()`, whose ΔW is 1, that is Lion.
 *
 * @returns A modulator that reads the gradient. It keeps no state without momentum.
 * @throws ConfigurationError `BAD_VALUE`, `UNKNOWN_OPTION`.
 * @see Hua, Zhao et al., "Hebbian Learning with Global Direction", ICASSP 2026, eqs. 1, 5 and 6; Chen et al., "Symbolic
 * discovery of optimization algorithms", NeurIPS 2023.
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
 * // The second gradient is too small to turn the momentum.
 * const steps = [{ gradient: [[4, -4]] }, { gradient: [[-0.1, 0.1]] }];
 * console.log(modulateEach(sign({ momentum: [0.9, 0.99] }), eligibility, steps));
 * // => [ [ [ -0.5, 2 ] ], [ [ -0.5, 2 ] ] ]
 * ```
 */
export function sign(options?: SignOptions & { readonly momentum?: undefined }): WeightModulator<'gradient', Stateless>;
export function sign(options: SignOptions): WeightModulator<'gradient'>;
export function sign(options: SignOptions = {}): WeightModulator<'gradient'> {
  const { mode, momentum } = readOptions('sign', options, {
    mode: choice(['magnitude', 'flip'], 'magnitude'),
    momentum: decays,
  });
  const along = (direction: tf.Tensor, eligibility: tf.Tensor) =>
    tf.neg(tf.mul(tf.sign(direction), mode === 'magnitude' ? tf.abs(eligibility) : eligibility));
  if (momentum === undefined) {
    const modulate = (eligibility: tf.Tensor, { gradient }: Pick<Signals, 'gradient'>) => along(gradient, eligibility);
    return statelessModulator(specOf('sign', { mode }), ['gradient'], modulate, [mode]);
  }
  const [beta1, beta2] = momentum;
  const modulator: WeightModulator<'gradient', Momentum> = {
    spec: specOf('sign', { mode, momentum }),
    actsOn: 'weights',
    reads: ['gradient'],
    init: ({ fanIn, fanOut }) => ({ momentum: tf.zeros([fanIn, fanOut]) }),
    modulate(eligibility, { gradient }, _, { momentum: before }) {
      const now = tf.reshape(gradient, before.shape);
      const mix = (beta: number) => tf.add(tf.mul(before, beta), tf.mul(now, 1 - beta));
      const direction = tf.reshape(mix(beta1), eligibility.shape);
      return { increment: along(direction, eligibility), state: { momentum: mix(beta2) } };
    },
  };
  return modulator;
}

const decays: OptionReader<readonly [number, number] | undefined> = (name, value) => {
  if (value === undefined) return undefined;
  const pair = Array.isArray(value) && value.length === 2 ? value : [value];
  for (const beta of pair) checkNumber(name, beta, { least: 0, most: 1 });
  if (pair.length === 2) return pair as [number, number];
  throw new ConfigurationError('BAD_VALUE', `${name} is ${value}.`, 'give two numbers in [0, 1]: [0.9, 0.99].');
};

/** The sign, described for lists and tests of parts. */
export const plugin: Plugin = {
  kind: 'modulator',
  name: 'sign',
  make: sign,
  examples: [[], [{ mode: 'flip' }], [{ momentum: [0.9, 0.99] }]],
};
