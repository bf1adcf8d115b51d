import '@tensorflow/tfjs-backend-cpu';
import { localRuleCases } from '@ghl/conformance';
import { stepOnce } from '@ghl/conformance/testing';
import { describe, expect, it } from 'vitest';
import { presynaptic } from './presynaptic.js';

it('moves each unit by the sum of the inputs x = [1, 2] and x = [3, 0], for any weights', () => {
  const input = [
    [1, 2],
    [3, 0],
  ];
  const weights = [
    [1, 0],
    [5, 0],
  ];
  expect(stepOnce(presynaptic(), { input, weights })).toEqual([
    [4, 4],
    [2, 2],
  ]);
});

describe('conformance', () => {
  for (const { title, run } of localRuleCases(presynaptic, {
    reference: { gate: ({ post }) => ({ gate: post.map((y) => y.map(() => 1)), scope: 'none' }) },
    reduction: 'sum',
    equivariant: true,
    plugins: { presynaptic },
  })) {
    it(title, run);
  }
});
