import '@tensorflow/tfjs-backend-cpu';
import { type LocalRuleReference, localRuleCases } from '@ghl/conformance';
import { describe, it } from 'vitest';
import { oja } from './oja.js';

/** Δw_k = Σₚ y_pk (xₚ − y_pk w_k). */
const reference: LocalRuleReference = {
  gate: ({ post }) => ({ gate: post, reconstruction: post, scope: 'own' }),
};

describe('conformance', () => {
  for (const { title, run } of localRuleCases(oja, {
    reference,
    reduction: 'sum',
    equivariant: true,
    plugins: { oja },
  })) {
    it(title, run);
  }
});
