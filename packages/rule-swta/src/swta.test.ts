import '@tensorflow/tfjs-backend-cpu';
import { type LocalRuleReference, localRuleCases } from '@ghl/conformance';
import { describe, it } from 'vitest';
import { swta } from './swta.js';

/** Δw_k = Σₚ u_pk (xₚ − y_pk w_k), u = softmax_k(y/τ). */
const reference = (temperature: number): LocalRuleReference => ({
  gate: ({ post }) => ({
    gate: post.map((y) => softmax(y.map((each) => each / temperature))),
    reconstruction: post,
    scope: 'own',
  }),
});

function softmax(logits: readonly number[]): number[] {
  const largest = Math.max(...logits);
  const exponentials = logits.map((logit) => Math.exp(logit - largest));
  const sum = exponentials.reduce((total, each) => total + each, 0);
  return exponentials.map((each) => each / sum);
}

describe.each([1, 1 / 0.65, 4, 0.1])('conformance, τ = %d', (temperature) => {
  for (const { title, run } of localRuleCases(() => swta({ temperature }), {
    reference: reference(temperature),
    reduction: 'sum',
    equivariant: true,
    plugins: { swta },
    schedules: { temperature: { make: (value) => swta({ temperature: value }), values: [1, 0.25] } },
  })) {
    it(title, run);
  }
});
