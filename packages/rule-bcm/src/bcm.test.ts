import '@tensorflow/tfjs-backend-cpu';
import { type LocalRuleReference, localRuleCases } from '@ghl/conformance';
import { describe, it } from 'vitest';
import { type BcmOptions, bcm } from './bcm.js';

/** Δw_k = Σₚ y_pk (y_pk − θ_k) xₚ, the gate ÷ θ_k if so asked, after θ ← (1 − ρ)θ + ρ·meanₚ y². */
const reference = ({ rate = 0.1, theta = 1, divide = false }: BcmOptions): LocalRuleReference => ({
  init: ({ fanOut }) => ({ theta: Array<number>(fanOut).fill(theta) }),
  gate({ post }, state) {
    const slid = (state as { theta: number[] }).theta.map((before, k) => {
      const power = post.reduce((sum, y) => sum + (y[k] as number) ** 2, 0) / post.length;
      return (1 - (rate as number)) * before + (rate as number) * power;
    });
    const gate = post.map((y) =>
      y.map((each, k) => {
        const threshold = slid[k] as number;
        return (each * (each - threshold)) / (divide ? threshold : 1);
      }),
    );
    return { gate, scope: 'none', state: { theta: slid } };
  },
});

describe.each([
  { options: {}, reduction: 'none' },
  { options: { divide: true, theta: 0.5 }, reduction: 'none' },
  { options: { rate: 0 }, reduction: 'sum' },
] as const)('conformance, $options', ({ options, reduction }) => {
  for (const { title, run } of localRuleCases(() => bcm(options), {
    reference: reference(options),
    reduction,
    equivariant: true,
    plugins: { bcm },
    schedules: { rate: { make: (rate) => bcm({ ...options, rate }), values: [0.1, 0.6] } },
  })) {
    it(title, run);
  }
});
