import '@tensorflow/tfjs-backend-cpu';
import { type LocalRuleReference, localRuleCases } from '@ghl/conformance';
import { describe, it } from 'vitest';
import { type HpcaOptions, hpca } from './hpca.js';

/** Δw_k = 1/P Σₚ f(y_pk) (xₚ − Σ_{j ≤ k} f(y_pj) w_j), ÷ √D if so asked. */
const reference = ({ activation = 'linear', scaleByFanIn = false }: HpcaOptions = {}): LocalRuleReference => ({
  gate({ post, units }) {
    const answers = post.map((y) => y.map((each) => (activation === 'relu' ? Math.max(each, 0) : each)));
    const divisor = post.length * (scaleByFanIn ? Math.sqrt(units.fanIn) : 1);
    return { gate: answers.map((y) => y.map((each) => each / divisor)), reconstruction: answers, scope: 'earlier' };
  },
});

describe.each([{}, { activation: 'relu' }, { scaleByFanIn: true }] as const)('conformance, %o', (options) => {
  for (const { title, run } of localRuleCases(() => hpca(options), {
    reference: reference(options),
    reduction: 'mean',
    equivariant: false,
    plugins: { hpca },
  })) {
    it(title, run);
  }
});
