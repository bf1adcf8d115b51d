/** Constraints of the weights over 1,000 steps, on every backend. */
import '../tools/vitest/software-gpu.js';
import { backend as wasm } from '@ghl/backend-wasm';
import { backend as webgpu } from '@ghl/backend-webgpu';
import { chain, dale, gradientDescent, scaleBy, unitNorm } from '@ghl/core';
import { computeIncrement, initState } from '@ghl/core/engine';
import '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import { expect, it } from 'vitest';

const backends = {
  cpu: { activate: () => tf.setBackend('cpu'), deactivate: async () => {} },
  wasm,
  webgpu,
};

const [INPUTS, UNITS, STEPS] = [3, 2, 1000];

it.each(Object.entries(backends))(
  'unitNorm and dale hold to 1e-6 over 1,000 steps on %s',
  { timeout: 60_000 },
  async (_, backend) => {
    await backend.activate();
    try {
      const plasticity = chain(gradientDescent(), scaleBy(0.3), dale(), unitNorm());
      const end = tf.tidy(() => {
        let weights: tf.Tensor = tf.tensor2d([2, 2, -2, -2, 1, 2], [INPUTS, UNITS]);
        let state = initState(plasticity, weights.shape);
        const gradients = [1, 2, 3, 4, 5].map((seed) => tf.randomNormal(weights.shape, 0, 1, 'float32', seed));
        for (let step = 0; step < STEPS; step++) {
          [weights, state] = tf.tidy(() => {
            const signals = { gradient: gradients[step % gradients.length] as tf.Tensor };
            const result = computeIncrement(plasticity, { weights, signals, batch: 1, step }, state);
            return [tf.add(weights, result.increment), result.state] as never;
          }) as unknown as [tf.Tensor, typeof state];
        }
        return tf.keep(weights);
      });
      const weights = Array.from(await end.data());
      end.dispose();
      for (let unit = 0; unit < UNITS; unit++) {
        const norm = Math.hypot(...weights.filter((_, i) => i % UNITS === unit));
        expect(Math.abs(norm - 1)).toBeLessThan(1e-6);
      }
      const signs = weights.map(Math.sign);
      for (const [input, sign] of [1, -1, 1].entries()) {
        for (const each of signs.slice(input * UNITS, (input + 1) * UNITS)) expect([sign, 0]).toContain(each + 0);
      }
      expect(signs.filter(Boolean).length).toBeGreaterThan(UNITS);
    } finally {
      await backend.deactivate();
    }
  },
);
