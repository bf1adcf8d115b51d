/** The step sizes of an assignment, read from its spec. */
import { at, fromSpec, type Hyperparameter, isSpec, type Json, type Spec } from '@ghl/core';

/** For each label whose plasticity has `scaleBy` in it, the product of those factors at a step. */
export function learningRates(spec: { readonly [label: string]: Json }, step: number): Record<string, number> {
  const rates: Record<string, number> = {};
  for (const [label, json] of Object.entries(spec)) {
    const factors = factorsOf(json);
    if (factors.length > 0) rates[label] = factors.map((factor) => at(factor, step)).reduce((a, b) => a * b);
  }
  return rates;
}

function factorsOf(json: Json): Hyperparameter[] {
  if (typeof json !== 'object' || json === null || Array.isArray(json) || !isSpec(json)) return [];
  if (json.name === 'chain') return json.args.flatMap(factorsOf);
  if (json.name !== 'scaleBy') return [];
  const [factor] = json.args;
  return [typeof factor === 'number' ? factor : fromSpec<Hyperparameter>(factor as unknown as Spec)];
}
