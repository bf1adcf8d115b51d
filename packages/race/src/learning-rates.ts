/** The step sizes of an assignment, read from its spec. */
import { fromSpec, type Hyperparameter, type Json } from '@ghl/core';
import { isSpec, valueAt } from '@ghl/core/plugin';

/**
 * For each selector whose plasticity contains `scaleBy`, the product of those factors at a step. A selector with a
 * schedule that is a plain function, which a spec cannot represent, is left out.
 */
export function learningRates(spec: { readonly [selector: string]: Json }, step: number): Record<string, number> {
  const rates: Record<string, number> = {};
  for (const [selector, json] of Object.entries(spec)) {
    const factors = factorsOf(json);
    const known = factors.filter((factor) => factor !== null);
    if (known.length === 0 || known.length < factors.length) continue;
    rates[selector] = known.reduce((product: number, factor) => product * valueAt(factor, step), 1);
  }
  return rates;
}

/** The arguments of every `scaleBy` in a chain; null for a plain function. */
function factorsOf(json: Json): (Hyperparameter | null)[] {
  if (!isSpec(json)) return [];
  if (json.name === 'chain') return json.args.flatMap(factorsOf);
  const [factor = null] = json.args;
  if (json.name !== 'scaleBy') return [];
  if (typeof factor === 'number') return [factor];
  return [isSpec(factor) && factor.name !== 'function' ? fromSpec<Hyperparameter>(factor) : null];
}
