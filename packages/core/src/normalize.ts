/** Normalisations of ΔW: over all weights of a layer, or over the weights of each unit. */
import * as tf from '@tensorflow/tfjs-core';
import type { Operation } from './backend/kernels.js';
import { type LocalRule, type Wrapper, wrap } from './local-rule.js';
import { choice, readOptions } from './options.js';
import { specOf } from './spec.js';
import type { StateTree } from './state.js';
import type { Units } from './units.js';

/** Options of {@link maxAbs} and {@link rms}. */
export interface NormOptions {
  /** The weights that share a norm: all weights of the layer, or those of one unit. Default `'layer'`. */
  readonly per?: 'layer' | 'unit';
}

/** Measures ΔW, and returns the map that normalises it. */
type Measure = (eligibility: tf.Tensor) => (eligibility: tf.Tensor) => tf.Tensor;

/** A measure of the columns of ΔW [D, K], for a ΔW of any shape. */
const byUnit =
  (measure: Measure) =>
  ({ fanIn, fanOut }: Units): Measure =>
  (measured) => {
    const columns = (tensor: tf.Tensor) => tf.reshape(tensor, [fanIn, fanOut]);
    const apply = measure(columns(measured));
    return (eligibility) => tf.reshape(apply(columns(eligibility)), eligibility.shape);
  };

function normalizer(
  name: string,
  options: object | undefined,
  linear: boolean,
  measureFor: (units: Units) => Measure,
  operation: Operation,
): Wrapper {
  return {
    spec: options === undefined ? specOf(name) : specOf(name, options),
    linear,
    init: () => ({}),
    wrap: (eligibility, { units }, state) => ({ apply: measureFor(units)(eligibility), state }),
    operation,
  };
}

const perOf = (name: string, options: NormOptions) =>
  readOptions(name, options, { per: choice(['layer', 'unit'], 'layer') }).per;

/**
 * ΔW ÷ max|ΔW| over the layer: the largest entry becomes ±1, and the step no longer depends on batch size or input
 * scale. With `per: 'unit'`, the largest entry of each unit becomes ±1. A ΔW of 0 stays at 0. From the code of GHL and
 * of SoftHebb.
 *
 * @throws ConfigurationError `BAD_VALUE` unless `rule` is a local rule, `UNKNOWN_OPTION`.
 * @example
 * ```ts
 * import { stepOnce } from '@ghl/conformance/testing';
 * import { maxAbs } from '@ghl/core';
 * import { specOf, statelessRule } from '@ghl/core/plugin';
 * import '@tensorflow/tfjs-backend-cpu';
 *
 * const hebb = statelessRule(specOf('hebb'), ({ post: y }) => ({ gate: y, scope: 'none' }));
 * // y = [1, 2], and ΔW = y·x = [[1, 2], [4, 8]]: a column for each unit.
 * const layer = { input: [[1, 4]], weights: [[1, 2], [0, 0]] };
 * console.log(stepOnce(maxAbs(hebb), layer), stepOnce(maxAbs(hebb, { per: 'unit' }), layer));
 * // => [ [ 0.125, 0.25 ], [ 0.5, 1 ] ] [ [ 0.25, 0.25 ], [ 1, 1 ] ]
 * ```
 */
export function maxAbs<S extends StateTree>(rule: LocalRule<S>, options: NormOptions = {}): LocalRule<S> {
  const measure = (axis?: number) => (measured: tf.Tensor) => {
    const largest = tf.max(tf.abs(measured), axis);
    return (eligibility: tf.Tensor) => tf.divNoNan(eligibility, largest);
  };
  return perOf('maxAbs', options) === 'layer'
    ? wrap(
        rule,
        'maxAbs',
        normalizer('maxAbs', undefined, true, () => measure(), ['maxAbs']),
      )
    : wrap(rule, 'maxAbs', normalizer('maxAbs', options, true, byUnit(measure(0)), ['unitMaxAbs']));
}

/**
 * Replaces ΔW by its root mean square over the layer: every weight moves equally far, and the step keeps its length.
 * With the sign modulator, this is the sign-only ablation at GHL's step size. With `per: 'unit'`, every weight of a
 * unit moves equally far, and each unit's step keeps its length.
 *
 * @throws ConfigurationError `BAD_VALUE` unless `rule` is a local rule, `UNKNOWN_OPTION`.
 * @example
 * ```ts
 * import { stepOnce } from '@ghl/conformance/testing';
 * import { rms } from '@ghl/core';
 * import { bcm } from '@ghl/rule-bcm';
 * import '@tensorflow/tfjs-backend-cpu';
 *
 * // y = 1·1 + 7·0 = 1, and ΔW = y²·x = [1, 7] with θ = 0. Its root mean square is √(50/2) = 5.
 * const rule = bcm({ rate: 0, theta: 0 });
 * console.log(stepOnce(rms(rule), { input: [[1, 7]], weights: [[1], [0]] }));
 * // => [ [ 5 ], [ 5 ] ]
 * ```
 */
export function rms<S extends StateTree>(rule: LocalRule<S>, options: NormOptions = {}): LocalRule<S> {
  const measure = (axis?: number) => (measured: tf.Tensor) => {
    const root = tf.sqrt(tf.mean(tf.square(measured), axis));
    return (eligibility: tf.Tensor) => tf.mul(tf.onesLike(eligibility), root);
  };
  return perOf('rms', options) === 'layer'
    ? wrap(
        rule,
        'rms',
        normalizer('rms', undefined, false, () => measure(), ['rms']),
      )
    : wrap(rule, 'rms', normalizer('rms', options, false, byUnit(measure(0)), ['unitRms']));
}

/**
 * Gives every unit the same root mean square of ΔW: ΔW_k ↦ ΔW_k · r / RMS(ΔW_k). The layer keeps its own root mean
 * square, so r is that over the units whose ΔW is not 0. A unit whose ΔW is 0 stays at 0. The rule decides how a step
 * is spread over the weights of a unit, and no longer how it is spread over units.
 *
 * @throws ConfigurationError `BAD_VALUE` unless `rule` is a local rule.
 * @example
 * ```ts
 * import { stepOnce } from '@ghl/conformance/testing';
 * import { normalizeUnits } from '@ghl/core';
 * import { specOf, statelessRule } from '@ghl/core/plugin';
 * import '@tensorflow/tfjs-backend-cpu';
 *
 * const hebb = statelessRule(specOf('hebb'), ({ post: y }) => ({ gate: y, scope: 'none' }));
 * // y = [1, 7], and ΔW = [[1, 7]]. Its root mean square is √(50/2) = 5.
 * console.log(stepOnce(normalizeUnits(hebb), { input: [[1]], weights: [[1, 7]] }));
 * // => [ [ 5, 5 ] ]
 * ```
 */
export function normalizeUnits<S extends StateTree>(rule: LocalRule<S>): LocalRule<S> {
  const measure = byUnit((measured) => {
    const squares = tf.sum(tf.square(measured), 0);
    const active = tf.sum(tf.cast(tf.greater(squares, 0), 'float32'));
    const factor = tf.sqrt(tf.divNoNan(tf.divNoNan(tf.sum(squares), active), squares));
    return (eligibility) => tf.mul(eligibility, factor);
  });
  return wrap(rule, 'normalizeUnits', normalizer('normalizeUnits', undefined, true, measure, ['normalizeUnits']));
}
