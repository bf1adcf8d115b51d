import '@tensorflow/tfjs-backend-cpu';
import { type ModulatorReference, modulatorCases } from '@ghl/conformance';
import { describe, it } from 'vitest';
import { sign } from './sign.js';

/** −sign(∂L/∂W) ⊙ |ΔW|, or −sign(∂L/∂W) ⊙ ΔW. */
const reference = (mode: 'magnitude' | 'flip'): ModulatorReference => ({
  modulate: ({ eligibility, signals }) => ({
    result: eligibility.map((delta, i) => {
      const direction = -Math.sign(signals.gradient?.[i] as number);
      return direction * (mode === 'magnitude' ? Math.abs(delta) : delta);
    }),
  }),
});

describe.each(['magnitude', 'flip'] as const)('conformance, %s', (mode) => {
  for (const { title, run } of modulatorCases(() => sign({ mode }), {
    reference: reference(mode),
    factor: 'weight',
    linear: mode === 'flip',
    descends: mode === 'magnitude',
    keepsMagnitude: true,
    allOrNothing: false,
    plugins: { sign },
  })) {
    it(title, run);
  }
});
