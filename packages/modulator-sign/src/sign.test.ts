import '@tensorflow/tfjs-backend-cpu';
import { type ModulatorReference, modulatorCases } from '@ghl/conformance';
import { modulateEach, stepOnce } from '@ghl/conformance/testing';
import { chain, type LocalRule, maxAbs, scaleBy, threeFactor } from '@ghl/core';
import { specOf } from '@ghl/core/plugin';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';
import { sign } from './sign.js';

it('gives ΔW = [0.5, −2, 3] the directions of −∂L/∂W = [−3, 1, 0]', () => {
  const [delta, gradient] = [[[0.5, -2, 3]], [[3, -1, 0]]];
  // −sign(∂L/∂W)·|ΔW| = [−1·0.5, 1·2, 0·3]
  expect(modulateEach(sign(), delta, [{ gradient }])[0]).toBeAllClose([[-0.5, 2, 0]]);
  // −sign(∂L/∂W)·ΔW = [−1·0.5, 1·(−2), 0·3]
  expect(modulateEach(sign({ mode: 'flip' }), delta, [{ gradient }])[0]).toBeAllClose([[-0.5, -2, 0]]);
});

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

describe('on a softmax classifier of four examples', () => {
  const input = [
    [1, 0.2, -0.3],
    [0.9, -0.4, 0.1],
    [-0.8, 0.5, 0.3],
    [-1, -0.3, 0.2],
  ];
  const classes = [0, 0, 1, 1];
  const start = [
    [-0.6, 0.9],
    [0.4, -0.1],
    [0.2, 0.3],
  ];
  type Matrix = number[][];
  const at = (matrix: Matrix, i: number, j: number) => (matrix[i] as number[])[j] as number;

  const softmax = (y: number[]) => {
    const powers = y.map(Math.exp);
    const sum = powers.reduce((total, each) => total + each, 0);
    return powers.map((each) => each / sum);
  };
  const forward = (w: Matrix) =>
    input.map((x) => [0, 1].map((k) => x.reduce((sum, each, d) => sum + each * at(w, d, k), 0)));
  const loss = (w: Matrix) =>
    forward(w).reduce((sum, y, p) => sum - Math.log(softmax(y)[classes[p] as number] as number), 0) / input.length;
  const overBatch = (f: (x: number, y: number[], p: number, d: number, k: number) => number, w: Matrix) => {
    const post = forward(w);
    return w.map((row, d) => row.map((_, k) => post.reduce((sum, y, p) => sum + f(at(input, p, d), y, p, d, k), 0)));
  };
  const gradient = (w: Matrix) =>
    overBatch((x, y, p, _, k) => (x * ((softmax(y)[k] as number) - Number(classes[p] === k))) / input.length, w);

  /** W ← W ∓ η·sign(∂L/∂W) ⊙ |H|/max|H|, H soft competition, in float64. */
  const step = (w: Matrix, direction: 1 | -1): Matrix => {
    const h = overBatch((x, y, _, d, k) => (softmax(y)[k] as number) * (x - (y[k] as number) * at(w, d, k)), w);
    const largest = Math.max(...h.flat().map(Math.abs));
    const g = gradient(w);
    return w.map((row, d) =>
      row.map((each, k) => each + (direction * 0.02 * Math.sign(at(g, d, k)) * Math.abs(at(h, d, k))) / largest),
    );
  };

  const rule: LocalRule = {
    spec: specOf('rule'),
    init: () => ({}),
    gate: ({ post }, state) => ({ gate: tf.softmax(post), reconstruction: post, scope: 'own', state }),
  };
  const plasticity = chain(threeFactor(maxAbs(rule), sign()), scaleBy(0.02));
  const engineStep = (w: Matrix): Matrix => {
    const increment = stepOnce(plasticity, { input, weights: w }, { gradient: gradient(w) });
    return w.map((row, d) => row.map((each, k) => each + at(increment, d, k)));
  };

  it('descends the loss at each step, to a fraction of it', () => {
    let [w, free] = [start, start];
    for (let t = 0; t < 150; t++) {
      const next = step(w, -1);
      expect(engineStep(w)).toBeAllClose(next, { rtol: 1e-5, atol: 1e-6 });
      expect(loss(next)).toBeLessThan(loss(w));
      [w, free] = [next, engineStep(free)];
    }
    expect(loss(start)).toBeGreaterThan(1);
    expect(loss(w)).toBeLessThan(0.2);
    expect(loss(free)).toBeAllClose(loss(w), { rtol: 1e-4 });
  });

  it('climbs with the sign that the paper prints', () => {
    let w = start;
    for (let t = 0; t < 150; t++) {
      const next = step(w, 1);
      expect(loss(next)).toBeGreaterThan(loss(w));
      w = next;
    }
    expect(loss(w)).toBeGreaterThan(1.5 * loss(start));
  });
});
