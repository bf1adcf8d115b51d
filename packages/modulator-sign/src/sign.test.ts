import '@tensorflow/tfjs-backend-cpu';
import { type ModulatorReference, modulatorCases } from '@ghl/conformance';
import { modulateEach, numbers, stepEach, stepOnce } from '@ghl/conformance/testing';
import {
  chain,
  constant,
  decayWeights,
  gradientDescent,
  type LocalRule,
  lion,
  maxAbs,
  type Plasticity,
  scaleBy,
  threeFactor,
} from '@ghl/core';
import { type Connection, conv2d, depthwiseConv2d } from '@ghl/core/engine';
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

/** Flat numbers as [3][4]. */
const rows = (flat: readonly number[]) => [0, 4, 8].map((first) => flat.slice(first, first + 4));

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

it('gives ΔW the directions of the momentum β₁·m + (1 − β₁)·∂L/∂W', () => {
  const steps = [{ gradient: [[1, -1]] }, { gradient: [[-0.25, 0.25]] }, { gradient: [[-4, 4]] }];
  // m = 0, 0.5, 0.125. The mixtures are 0.5, 0.5·0.5 − 0.5·0.25 = 0.125, and 0.5·0.125 − 0.5·4 < 0.
  expect(modulateEach(sign({ momentum: [0.5, 0.5] }), [[2, 3]], steps)).toBeAllClose([[[-2, 3]], [[-2, 3]], [[2, -3]]]);
  // The directions of β₁ = 0 are those without momentum.
  const [none, zero] = [sign({ mode: 'flip' }), sign({ mode: 'flip', momentum: [0, 0.5] })];
  expect(modulateEach(zero, [[2, -3]], steps)).toEqual(modulateEach(none, [[2, -3]], steps));
});

describe.each(['magnitude', 'flip'] as const)('conformance with momentum, %s', (mode) => {
  const [beta1, beta2] = [0.8, 0.6];
  const oracle: ModulatorReference = {
    init: ({ fanIn, fanOut }) => ({ momentum: Array<number>(fanIn * fanOut).fill(0) }),
    modulate({ eligibility, signals }, state) {
      const { momentum } = state as { momentum: number[] };
      const gradient = signals.gradient as readonly number[];
      const mix = (i: number, beta: number) => beta * (momentum[i] as number) + (1 - beta) * (gradient[i] as number);
      return {
        result: eligibility.map((delta, i) => -Math.sign(mix(i, beta1)) * (mode === 'flip' ? delta : Math.abs(delta))),
        state: { momentum: gradient.map((_, i) => mix(i, beta2)) },
      };
    },
  };
  for (const { title, run } of modulatorCases(() => sign({ mode, momentum: [beta1, beta2] }), {
    reference: oracle,
    factor: 'weight',
    linear: mode === 'flip',
    descends: false,
    allOrNothing: false,
    plugins: { sign },
  })) {
    it(title, run);
  }
});

describe('with momentum on constant()', () => {
  const [beta1, beta2, step, decay] = [0.9, 0.99, 0.01, 0.1];
  const tail = [decayWeights(decay), scaleBy(step)] as const;
  const bySign = () => chain(threeFactor(constant(), sign({ momentum: [beta1, beta2] })), ...tail);
  const byLion = () => chain(gradientDescent(), lion({ beta1, beta2 }), ...tail);
  const gradients = (count: number, shape: number[]) =>
    Array.from({ length: count }, (_, t) => ({ gradient: numbers(10 + t, shape) }));

  it.each<[string, Connection | undefined, number[]]>([
    ['dense', undefined, [3, 4]],
    ['conv2d', conv2d([2, 2, 3, 4]), [2, 2, 3, 4]],
    ['depthwise', depthwiseConv2d([2, 2, 3, 2]), [2, 2, 3, 2]],
  ])('is Lion bit for bit: %s', (_, connection, shape) => {
    const layer = {
      input: connection ? numbers(1, [1, 3, 3, 3]) : numbers(1, [2, 3]),
      inputShape: connection ? [1, 3, 3, 3] : [2, 3],
      weights: connection ? numbers(2, shape) : [...numbers(2, [3])].map((w) => [w, -w, 2 * w, 0.5]),
      ...(connection && { connection }),
    };
    const signals = gradients(20, shape);
    expect(stepEach(bySign(), layer, signals)).toEqual(stepEach(byLion(), layer, signals));
  });

  it('moves weights as Lion does in float64', () => {
    const shape = [3, 4];
    const w = Array.from(numbers(2, shape));
    const m = w.map(() => 0);
    // Chen et al., algorithm 2: the step is −η·(sign(β₁·m + (1 − β₁)·g) + λ·w).
    const moved = w.map(() => 0);
    const signals = gradients(60, shape);
    for (const { gradient } of signals) {
      for (const [i, g] of gradient.entries()) {
        moved[i] = -step * (Math.sign(beta1 * (m[i] as number) + (1 - beta1) * g) + decay * (w[i] as number));
        m[i] = beta2 * (m[i] as number) + (1 - beta2) * g;
      }
    }
    const last = (plasticity: Plasticity) =>
      (stepEach(plasticity, { input: [[1, 1, 1]], weights: rows(w) }, signals).at(-1) as number[][]).flat();
    for (const plasticity of [bySign(), byLion()]) expect(last(plasticity)).toBeAllClose(moved, { rtol: 1e-5 });
  });
});

it.each([[[0.9]], [[0.9, 0.99, 1]], [[0.9, 1.5]], [[-0.1, 0.9]], [0.9], ['0.9'], [null], [[0.9, '1']]])(
  'rejects the momentum %j',
  (momentum) => {
    expect(() => sign({ momentum: momentum as never })).toThrow(expect.objectContaining({ code: 'BAD_VALUE' }));
  },
);

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
