/** A recipe of any rule and modulator. */
import { type GlobalModulator, type LocalRule, local, maxAbs, threeFactor } from '@ghl/core';
import { assignment, type OnePhaseRecipe } from './recipe.js';

/** Any rule, and any modulator or none, for {@link product}. */
export interface ProductOptions {
  /** The rule, or a function from the layer's temperature to it. */
  readonly rule: LocalRule | ((temperature: number) => LocalRule);
  /** The third factor; null for none. */
  readonly modulator: GlobalModulator | null;
  /** Whether to use the rule's ΔW unchanged. Default false: wrapped in `maxAbs`, so that step sizes compare. */
  readonly raw?: boolean;
}

/**
 * The `assign` of a recipe of any rule × modulator, in the same chain as the named ones:
 * `product({ rule: oja(), modulator: sign() })({ temperatures, step, decay, restStep, steps })`.
 *
 * @throws ConfigurationError as {@link ghl} and `threeFactor`, when called with the options of a recipe.
 * @example
 * ```ts
 * import { sign } from '@ghl/modulator-sign';
 * import { networks } from '@ghl/models';
 * import { product } from '@ghl/recipes';
 * import { oja } from '@ghl/rule-oja';
 * import '@tensorflow/tfjs-backend-cpu';
 *
 * const assign = product({ rule: oja(), modulator: sign() });
 * const assignment = assign({ ...networks['deephebb-small'].constants, steps: 1000 });
 * console.log(Object.keys(assignment));
 * // => [ 'conv1', 'conv2', 'conv3', '*' ]
 * ```
 */
export function product({ rule, modulator, raw = false }: ProductOptions): OnePhaseRecipe['assign'] {
  return (options) =>
    assignment('product', options, (temperature) => {
      const bare = typeof rule === 'function' ? rule(temperature) : rule;
      const factor = raw ? bare : maxAbs(bare);
      return modulator === null ? local(factor) : threeFactor(factor, modulator);
    });
}
