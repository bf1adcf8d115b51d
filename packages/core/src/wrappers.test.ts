/** The wrappers trace, ema and power: equations, identities, and learning from a delayed reward. */
import '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';
import { dense, initState, layerIncrement } from './engine/index.js';
import { fromSpec } from './from-spec.js';
import { type LocalRule, statelessRule } from './local-rule.js';
import { statelessModulator } from './modulator.js';
import { maxAbs } from './normalize.js';
import { numbers } from './numbers.fixture.js';
import { chain, local, type Plasticity, threeFactor } from './plasticity.js';
import { power } from './power.js';
import { specOf } from './spec.js';
import { ema, trace } from './trace.js';
import { scaleBy } from './transform.js';

/** ΔW = Σ y·x, with y as the caller records it. */
const hebb = (): LocalRule => statelessRule(specOf('hebb'), ({ post: y }) => ({ gate: y, scope: 'none' }));

/** The increments of a dense layer with two inputs and three units, for one batch after the other. */
function increments(plasticity: Plasticity, batches = 4): number[][] {
  return tf.tidy(() => {
    const connection = dense([2, 3]);
    let state = initState(plasticity, [2, 3], connection.units);
    return Array.from({ length: batches }, (_, step) => {
      const [pre, post] = [tf.tensor2d(numbers(step, [5, 2]), [5, 2]), tf.tensor2d(numbers(step + 50, [5, 3]), [5, 3])];
      const layer = { connection, kernel: tf.zeros([2, 3]), calls: [{ pre, post }], signals: {}, step };
      const result = layerIncrement(plasticity, layer, state);
      state = result.state;
      return Array.from(result.increment.dataSync());
    });
  });
}

function expectClose(actual: readonly (readonly number[])[], expected: readonly (readonly number[])[]) {
  expect(actual.length).toBe(expected.length);
  for (const [i, row] of expected.entries()) {
    for (const [j, value] of row.entries()) expect(actual[i]?.[j]).toBeCloseTo(value, 5);
  }
}

/** e ← λ·e + s·ΔW in float64. */
function remembered(rows: readonly (readonly number[])[], lambda: number, share: number): number[][] {
  let state = rows[0]!.map(() => 0);
  return rows.map((row) => {
    state = row.map((delta, i) => lambda * (state[i] as number) + share * delta);
    return state;
  });
}

describe('trace and ema', () => {
  it('sum and average ΔW over steps with the decay λ', () => {
    const plain = increments(local(hebb()));
    expectClose(increments(local(trace(hebb(), 0.8))), remembered(plain, 0.8, 1));
    expectClose(increments(local(ema(hebb(), 0.8))), remembered(plain, 0.8, 1 - 0.8));
  });

  it('are the rule itself at λ = 0, bit for bit', () => {
    for (const wrapper of [trace, ema])
      expect(increments(local(wrapper(hebb(), 0)))).toEqual(increments(local(hebb())));
  });

  it('read a schedule at the step', () => {
    const plain = increments(local(hebb()));
    const late = increments(local(trace(hebb(), (step) => (step < 2 ? 0 : 1))));
    expect(late.slice(0, 2)).toEqual(plain.slice(0, 2));
    expectClose([late[2]!], [plain[2]!.map((value, i) => value + plain[1]![i]!)]);
  });

  it('reject a third factor per example, whose ΔW could not be remembered', () => {
    const perExample = {
      spec: specOf('perExample'),
      actsOn: 'example',
      reads: ['reward'],
      init: () => ({}),
      factor: ({ reward }: { reward: tf.Tensor1D }, _: unknown, state: object) => ({ factor: reward, state }),
    };
    expect(() => threeFactor(trace(hebb(), 0.5), perExample as never)).toThrow(
      expect.objectContaining({ code: 'PER_EXAMPLE_REFUSED' }),
    );
  });
});

describe('power', () => {
  it('raises the magnitude to p, and keeps the sign', () => {
    const plain = increments(local(maxAbs(hebb())));
    const expected = plain.map((row) => row.map((value) => Math.sign(value) * Math.abs(value) ** 0.25));
    expectClose(increments(local(power(maxAbs(hebb()), 0.25))), expected);
  });

  it('is the rule itself at p = 1, and composes: (ΔW^½)^½ = ΔW^¼', () => {
    expectClose(increments(local(power(hebb(), 1))), increments(local(hebb())));
    expectClose(increments(local(power(power(hebb(), 0.5), 0.5))), increments(local(power(hebb(), 0.25))));
  });
});

it.each<LocalRule>([trace(hebb(), 0.5), ema(maxAbs(hebb()), 0.5), power(trace(hebb(), 0.9), 2)])(
  'rebuilds $spec.name from its spec',
  (rule) => {
    const rebuilt = fromSpec<LocalRule>(JSON.parse(JSON.stringify(rule.spec)), { hebb });
    expect(rebuilt.spec).toEqual(rule.spec);
    expect(increments(local(rebuilt))).toEqual(increments(local(rule)));
  },
);

it.each<[string, () => LocalRule]>([
  ['trace decay', () => trace(hebb(), 1.5)],
  ['ema decay', () => ema(hebb(), -0.5)],
  ['power exponent', () => power(hebb(), 0)],
])('rejects a bad %s', (name, make) => {
  expect(make).toThrow(expect.objectContaining({ code: 'BAD_VALUE', summary: expect.stringContaining(name) }));
});

describe('a bandit whose reward arrives three steps late', () => {
  const DELAY = 3;
  const STEPS = 2000;
  const PAYOFFS = [0.1, 0.5, 0.9];
  /** The reward minus its expectation under a uniform choice. */
  const reward = statelessModulator(specOf('centred'), ['reward'], (delta, signals) =>
    tf.mul(delta, tf.sub(tf.mean(signals.reward), 0.5)),
  );

  /** The probability of the best arm after training. The policy is the softmax of the weights. */
  function probabilityOfBest(rule: LocalRule, seed: number): number {
    const draws = tf.tidy(() => [...tf.randomUniform([2 * STEPS], 0, 1, 'float32', seed).dataSync()]);
    const draw = () => draws.pop()!;
    const connection = dense([1, 3]);
    const plasticity = chain(threeFactor(rule, reward as never), scaleBy(0.05));
    return tf.tidy(() => {
      let state = initState(plasticity, [1, 3], connection.units);
      let logits = [0, 0, 0];
      const pending: number[] = [];
      const policy = () => {
        const powers = logits.map(Math.exp);
        return powers.map((each) => each / powers.reduce((a, b) => a + b));
      };
      for (let step = 0; step < STEPS; step++) {
        const chances = policy();
        const point = draw();
        const arm = point < chances[0]! ? 0 : point < chances[0]! + chances[1]! ? 1 : 2;
        pending.push(draw() < PAYOFFS[arm]! ? 1 : 0);
        if (pending.length <= DELAY) pending.unshift(0.5);
        // ∂ log π(arm) / ∂W: the post-synaptic factor of REINFORCE.
        const post = tf.tensor2d([chances.map((chance, i) => (i === arm ? 1 : 0) - chance)]);
        const layer = {
          connection,
          kernel: tf.tensor2d([logits]),
          calls: [{ pre: tf.ones([1, 1]) as tf.Tensor2D, post }],
          signals: { reward: tf.tensor1d([pending.shift()!]) },
          step,
        };
        const result = layerIncrement(plasticity, layer, state);
        state = result.state;
        logits = logits.map((value, i) => value + result.increment.dataSync()[i]!);
      }
      return policy()[2]!;
    });
  }

  it('is solved with a trace, and not without', () => {
    for (const seed of [0, 1, 2]) expect(probabilityOfBest(trace(hebb(), 0.8), seed)).toBeGreaterThan(0.85);
    const without = [0, 1, 2].map((seed) => probabilityOfBest(hebb(), seed));
    expect(without.reduce((a, b) => a + b) / 3).toBeLessThan(0.6);
  });
});
