/** Hebbian PCA: Sanger's rule, in which each unit learns what the units before it leave unexplained. */
import type { LocalRule } from '@ghl/core';
import { choice, flag, readOptions, type Stateless, specOf, statelessRule } from '@ghl/core/plugin';
import * as tf from '@tensorflow/tfjs-core';

/** Options of {@link hpca}. */
export interface HpcaOptions {
  /** The activity of a unit: y, or ReLU(y) as in FastHebb's code, which no longer finds principal components. */
  readonly activation?: 'linear' | 'relu';
  /** Whether the step is divided by √D, D the fan-in, as in FastHebb's code. Default false. */
  readonly scaleByFanIn?: boolean;
}

/**
 * Sanger's rule with the diagonal kept, Δw_k = 1/P Σₚ f(y_pk) · (xₚ − Σ_{j ≤ k} f(y_pj) · w_j): gate f(y)/P,
 * reconstruction f(y), scope earlier. With f linear, unit k converges to ± the k-th principal component, and WᵀW to the
 * identity. The order of units matters: permuting them changes the rule. A mean over batch and positions.
 *
 * @returns A rule without state.
 * @throws ConfigurationError `BAD_VALUE`, `UNKNOWN_OPTION`.
 * @see Sanger, Neural Networks 2, 1989; Lagani et al., "FastHebb", SISAP 2022, for the ReLU and the 1/√D.
 * @example
 * ```ts
 * import { stepOnce } from '@ghl/conformance/testing';
 * import { hpca } from '@ghl/rule-hpca';
 * import '@tensorflow/tfjs-backend-cpu';
 *
 * // w₁ = [1, 0] and w₂ = [0, 0.5] give y = [1, 1]: Δw₁ = x − w₁, and Δw₂ = x − w₁ − w₂.
 * const weights = [
 *   [1, 0],
 *   [0, 0.5],
 * ];
 * console.log(stepOnce(hpca(), { input: [[1, 2]], weights }));
 * // => [ [ 0, 0 ], [ 2, 1.5 ] ]
 * ```
 */
export function hpca(options: HpcaOptions = {}): LocalRule<Stateless> {
  const { activation, scaleByFanIn } = readOptions('hpca', options, {
    activation: choice(['linear', 'relu'], 'linear'),
    scaleByFanIn: flag(false),
  });
  return statelessRule(specOf('hpca', { activation, scaleByFanIn }), ({ post, units }) => {
    const y = activation === 'relu' ? tf.relu(post) : post;
    const divisor = post.shape[0] * (scaleByFanIn ? Math.sqrt(units.fanIn) : 1);
    return { gate: tf.div(y, divisor), reconstruction: y, scope: 'earlier' };
  });
}
