/** Rules and wrappers in literal numbers. */
import '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import { expect, it } from 'vitest';
import { dense, initState, layerIncrement } from './engine/index.js';
import { constant, type LocalRule, type Scope, statelessRule } from './local-rule.js';
import { maxAbs, rms } from './normalize.js';
import { local } from './plasticity.js';
import { specOf } from './spec.js';

/** ΔW of one step of a dense layer. */
function delta(rule: LocalRule, input: number[][], weights: number[][]): number[][] {
  return tf.tidy(() => {
    const [pre, kernel] = [tf.tensor2d(input), tf.tensor2d(weights)];
    const connection = dense(kernel.shape);
    const layer = { connection, kernel, calls: [{ pre, post: connection.forward(pre, kernel) }], signals: {}, step: 0 };
    const state = initState(local(rule), kernel.shape, connection.units);
    return layerIncrement(local(rule), layer, state).increment.arraySync() as number[][];
  });
}

/** Gate y, and reconstruction y in a scope. */
const withScope = (scope: Scope) =>
  statelessRule(specOf('withScope', scope), ({ post: y }) => ({ gate: y, reconstruction: y, scope }));

const hebb = withScope('none');

it.each<[Scope, number[][]]>([
  // Both units: y·x = [1, 2], for y = [1, 1]
  [
    'none',
    [
      [1, 1],
      [2, 2],
    ],
  ],
  // Unit 1: x − w₁ = [0, 2]; unit 2: x − w₂ = [1, 1.5]
  [
    'own',
    [
      [0, 1],
      [2, 1.5],
    ],
  ],
  // Unit 1: x − w₁ = [0, 2]; unit 2: x − w₁ − w₂ = [0, 1.5]
  [
    'earlier',
    [
      [0, 0],
      [2, 1.5],
    ],
  ],
  // Both units: x − w₁ − w₂ = [0, 1.5]
  [
    'all',
    [
      [0, 0],
      [1.5, 1.5],
    ],
  ],
])(
  'subtracts the reconstructions of scope %s from x = [1, 2], for w₁ = [1, 0] and w₂ = [0, 0.5]',
  (scope, expected) => {
    const weights = [
      [1, 0],
      [0, 0.5],
    ];
    expect(delta(withScope(scope), [[1, 2]], weights)).toEqual(expected);
  },
);

it('divides ΔW = [2, −8] by 8 in maxAbs', () => {
  // x = [1, −4], w = [2, 0]: y = 2 and ΔW = y·x = [2, −8]
  expect(delta(maxAbs(hebb), [[1, -4]], [[2], [0]])).toEqual([[0.25], [-1]]);
});

it('replaces ΔW = [1, −7] by √((1 + 49)/2) = 5 in rms', () => {
  // x = [1, −7], w = [1, 0]: y = 1 and ΔW = y·x = [1, −7]
  expect(delta(rms(hebb), [[1, -7]], [[1], [0]])).toBeAllClose([[5], [5]]);
});

it('applies the inner wrapper first: rms(maxAbs) of ΔW = [1, −7] is 5/7', () => {
  expect(delta(rms(maxAbs(hebb)), [[1, -7]], [[1], [0]])).toBeAllClose([[5 / 7], [5 / 7]]);
});

it('gives ΔW = 1 for every weight and any activity in constant', () => {
  expect(delta(constant(), [[1, -7]], [[1], [0]])).toEqual([[1], [1]]);
});
