/**
 * A plasticity consists of a head, which computes an increment of the weights, and transforms of that increment. Local
 * rule × global modulator, a rule alone, gradient descent and a chain are all plasticities.
 */
import { checkPart } from './checks.js';
import { checkConstraints, refuseConstraint } from './constraints.js';
import { ConfigurationError } from './errors.js';
import { type LocalRule, ruleName } from './local-rule.js';
import type { GlobalModulator, SignalName } from './modulator.js';
import type { Hyperparameter } from './schedule.js';
import { type Specified, specOf } from './spec.js';
import { scaleBy, sequence, type Transform } from './transform.js';

/**
 * How weights change.
 *
 * @typeParam R Names of the signals that it reads.
 */
export interface Plasticity<R extends SignalName = SignalName> extends Specified {
  /** The local factor; null for plain gradient descent and for a sum. */
  readonly rule: LocalRule | null;
  /** The third factor; null if there is none. */
  readonly modulator: GlobalModulator | null;
  /** The plasticities whose increments are added, if the head is a sum. */
  readonly terms?: readonly Plasticity[];
  /** Applied to the increment in order. */
  readonly transforms: readonly Transform[];
  /** The signals without which no step can be made. */
  readonly reads: readonly R[];
}

/**
 * The product of a local rule and a global modulator.
 *
 * @throws ConfigurationError `BAD_VALUE` unless `rule` is a local rule and `modulator` a global modulator.
 * `PER_EXAMPLE_REFUSED` if the modulator has a factor per example or per activity, and the rule's ΔW is not linear in
 * its gate (`rms`, `constant`, a trace), so that no such factor can reach it.
 * @example
 * ```ts
 * import { stepOnce } from '@ghl/conformance/testing';
 * import { threeFactor } from '@ghl/core';
 * import { sign } from '@ghl/modulator-sign';
 * import { oja } from '@ghl/rule-oja';
 * import '@tensorflow/tfjs-backend-cpu';
 *
 * // ΔW = [−2, 2]; the sign of −∂L/∂W gives the directions.
 * const layer = { input: [[1, 2]], weights: [[1], [0.5]] };
 * console.log(stepOnce(threeFactor(oja(), sign()), layer, { gradient: [[-3], [1]] }));
 * // => [ [ 2 ], [ -2 ] ]
 * ```
 */
export function threeFactor<R extends SignalName>(rule: LocalRule, modulator: GlobalModulator<R>): Plasticity<R> {
  checkRule('threeFactor', rule);
  checkPart(
    'The modulator of threeFactor',
    modulator,
    'actsOn',
    'give a global modulator second: threeFactor(swta(), sign()).',
  );
  const obstacle = rule.active === false ? ruleName(rule) : rule.wrappers?.find(({ linear }) => !linear)?.spec.name;
  if (modulator.actsOn !== 'weights' && obstacle !== undefined) {
    throw new ConfigurationError(
      'PER_EXAMPLE_REFUSED',
      `${modulator.spec.name} has one factor per ${modulator.actsOn}, but ${obstacle} sums over the examples before it.`,
      `use a modulator with one factor per batch, or a rule without ${obstacle}.`,
    );
  }
  return {
    spec: specOf('threeFactor', rule, modulator),
    rule,
    modulator: modulator as unknown as GlobalModulator,
    transforms: [],
    reads: modulator.reads,
  };
}

/**
 * A local rule without a third factor: the increment is ΔW.
 *
 * @throws ConfigurationError `BAD_VALUE` unless `rule` is a local rule.
 * @example
 * ```ts
 * import { stepOnce } from '@ghl/conformance/testing';
 * import { chain, local, scaleBy } from '@ghl/core';
 * import { oja } from '@ghl/rule-oja';
 * import '@tensorflow/tfjs-backend-cpu';
 *
 * // ΔW = [−2, 2]
 * const hebbian = chain(local(oja()), scaleBy(0.5));
 * console.log(stepOnce(hebbian, { input: [[1, 2]], weights: [[1], [0.5]] }));
 * // => [ [ -1 ], [ 1 ] ]
 * ```
 */
export function local(rule: LocalRule): Plasticity<never> {
  checkRule('local', rule);
  return { spec: specOf('local', rule), rule, modulator: null, transforms: [], reads: [] };
}

/**
 * Gradient descent, −∂L/∂W: the third factor alone. Works for every weight, biases included.
 *
 * @example
 * ```ts
 * import { stepOnce } from '@ghl/conformance/testing';
 * import { gradientDescent } from '@ghl/core';
 * import '@tensorflow/tfjs-backend-cpu';
 *
 * const layer = { input: [[1, 2]], weights: [[1], [0.5]] };
 * console.log(stepOnce(gradientDescent(), layer, { gradient: [[3], [-1]] }));
 * // => [ [ -3 ], [ 1 ] ]
 * ```
 */
export function gradientDescent(): Plasticity<'gradient'> {
  return { spec: specOf('gradientDescent'), rule: null, modulator: null, transforms: [], reads: ['gradient'] };
}

/**
 * A head that adds the increments of several plasticities. Each keeps its own third factor, transforms and state. The
 * sum reads every signal that one of them reads. Transforms after it act on the total.
 *
 * It moves every weight if all parts are sums or chains of gradient descent. With a local rule, it moves only kernels.
 *
 * @param parts At least one plasticity. The order changes the rounding only.
 * @throws ConfigurationError `BAD_VALUE` unless each part is a plasticity; `CONSTRAINT_ORDER` if one has a constraint,
 * such as `unitNorm`, which belongs after the sum.
 * @example
 * ```ts
 * import { stepOnce } from '@ghl/conformance/testing';
 * import { chain, gradientDescent, local, scaleBy, sum } from '@ghl/core';
 * import { oja } from '@ghl/rule-oja';
 * import '@tensorflow/tfjs-backend-cpu';
 *
 * // −∂L/∂W = [−3, 1], and ΔW = [−2, 2].
 * const hybrid = sum(gradientDescent(), chain(local(oja()), scaleBy(0.5)));
 * const layer = { input: [[1, 2]], weights: [[1], [0.5]] };
 * console.log(stepOnce(hybrid, layer, { gradient: [[3], [-1]] }));
 * // => [ [ -4 ], [ 2 ] ]
 * ```
 */
export function sum<R extends SignalName>(
  ...parts: readonly [Plasticity<R>, ...(readonly Plasticity<R>[])]
): Plasticity<R> {
  const help = 'give plasticities: sum(gradientDescent(), chain(local(rule), scaleBy(1e-3))).';
  if (parts.length === 0) throw new ConfigurationError('BAD_VALUE', 'sum has no part.', help);
  for (const [i, part] of parts.entries()) checkPart(`Part ${i + 1} of sum`, part, 'transforms', help);
  for (const { spec, transforms } of parts) refuseConstraint(spec, transforms);
  const reads = [...new Set(parts.flatMap((part) => part.reads))];
  return { spec: specOf('sum', ...parts), rule: null, modulator: null, terms: parts, transforms: [], reads };
}

/**
 * The head, and transforms applied to its increment in order. A chain is a plasticity, so chains nest. Without a head
 * it is a transform, the named tail of other chains: `const step = chain(decayWeights(5e-2), scaleBy(1e-2))`.
 *
 * @throws ConfigurationError `BAD_VALUE` unless the first argument is a plasticity or a transform, and each other one a
 * transform; `CONSTRAINT_ORDER` if a transform follows a constraint that it could undo, as in `chain(…, unitNorm(),
 * scaleBy(0.1))`.
 * @example
 * ```ts
 * import { chain, decayWeights, maxAbs, scaleBy, threeFactor } from '@ghl/core';
 * import { sign } from '@ghl/modulator-sign';
 * import { swta } from '@ghl/rule-swta';
 * import '@tensorflow/tfjs-backend-cpu';
 *
 * const step = chain(decayWeights(5e-2), scaleBy(1e-2));
 * const plasticity = chain(threeFactor(maxAbs(swta()), sign()), step);
 * console.log(plasticity.reads, plasticity.transforms.length);
 * // => [ 'gradient' ] 2
 * ```
 */
export function chain<R extends SignalName>(head: Plasticity<R>, ...transforms: readonly Transform[]): Plasticity<R>;
export function chain(...transforms: readonly [Transform, ...Transform[]]): Transform;
export function chain(first: Plasticity | Transform, ...rest: readonly Transform[]): Plasticity | Transform {
  const headless = typeof first === 'object' && first !== null && 'update' in first;
  if (!headless) {
    checkPart(
      'The head of chain',
      first,
      'transforms',
      'begin with threeFactor(rule, modulator), local(rule), gradientDescent() or sum(…).',
    );
  }
  for (const [i, transform] of rest.entries()) {
    checkPart(
      `Transform ${i + 1} of chain`,
      transform,
      'update',
      'give transforms after the head: scaleBy(1e-2), decayWeights(5e-2).',
    );
  }
  const spec = specOf('chain', first, ...rest);
  const transforms = rest.flatMap((transform) => transform.parts ?? [transform]);
  const all = [...(headless ? (first.parts ?? [first]) : (first as Plasticity).transforms), ...transforms];
  checkConstraints(all);
  return headless ? sequence(spec, all) : { ...(first as Plasticity), spec, transforms: all };
}

/**
 * Stochastic gradient descent, −η·∂L/∂W: `chain(gradientDescent(), scaleBy(stepSize))`.
 *
 * @param stepSize η, a number or a schedule.
 * @throws ConfigurationError `BAD_VALUE`.
 * @example
 * ```ts
 * import { stepOnce } from '@ghl/conformance/testing';
 * import { sgd } from '@ghl/core';
 * import '@tensorflow/tfjs-backend-cpu';
 *
 * const layer = { input: [[1, 2]], weights: [[1], [0.5]] };
 * console.log(stepOnce(sgd(0.5), layer, { gradient: [[3], [-1]] }));
 * // => [ [ -1.5 ], [ 0.5 ] ]
 * ```
 */
export function sgd(stepSize: Hyperparameter): Plasticity<'gradient'> {
  return chain(gradientDescent(), scaleBy(stepSize));
}

/** The local rules of a plasticity: none for gradient descent, and those of all terms of a sum. */
export function rulesOf({ rule, terms }: Plasticity): LocalRule[] {
  return terms?.flatMap(rulesOf) ?? (rule === null ? [] : [rule]);
}

/** Whether a rule of the plasticity reads x and y. */
export function readsActivity(plasticity: Plasticity): boolean {
  return rulesOf(plasticity).some(({ active }) => active !== false);
}

function checkRule(product: string, rule: unknown): void {
  checkPart(
    `The rule of ${product}`,
    rule,
    'gate',
    `give a local rule first: ${product}(swta()${product === 'local' ? '' : ', sign()'}).`,
  );
}
