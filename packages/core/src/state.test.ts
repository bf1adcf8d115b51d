import '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';
import { StateError } from './errors.js';
import { leaves, loadState, mapLeaves, type StateTree, saveState } from './state.js';

const tree = () => ({
  rule: { theta: tf.tensor1d([1, 2, Math.fround(0.1)]) },
  wrappers: [{ trace: tf.zeros([2, 2]) }, {}] as [{ trace: tf.Tensor }, Record<string, never>],
  step: tf.scalar(7, 'int32'),
});

const values = (state: StateTree) =>
  leaves(state).map(([path, leaf]) => [path, leaf.dtype, leaf.shape, [...leaf.dataSync()]]);

it('lists the leaves of a tree with their paths, in order', () => {
  const state = tree();
  expect(leaves(state).map(([path]) => path)).toEqual(['rule/theta', 'wrappers/0/trace', 'step']);
  expect(leaves({})).toEqual([]);
  tf.dispose(state);
});

it('keeps the structure in mapLeaves', () => {
  const state = tree();
  const paths: string[] = [];
  const doubled = mapLeaves(state, (leaf, path) => {
    paths.push(path);
    return tf.mul(leaf, 2);
  });
  expect(paths).toEqual(['rule/theta', 'wrappers/0/trace', 'step']);
  expect(doubled.rule.theta).toBeAllClose([2, 4, 0.2]);
  expect(Array.isArray(doubled.wrappers)).toBe(true);
  tf.dispose([state, doubled]);
});

it('loads a saved tree bit for bit, into a tree of the same structure', async () => {
  const state = tree();
  const like = mapLeaves(tree(), (leaf) => {
    const zeros = tf.zerosLike(leaf);
    leaf.dispose();
    return zeros;
  });
  const loaded = loadState(await saveState(state), like);
  expect(values(loaded)).toEqual(values(state));
  expect(loaded.wrappers[1]).toEqual({});
  tf.dispose([state, like, loaded]);
});

it('saves no values for a tree without leaves', async () => {
  expect(loadState(await saveState({}), {})).toEqual({});
});

describe('rejects these states, and leaves no tensor', () => {
  it.each<[name: string, like: () => StateTree, message: RegExp]>([
    [
      'a missing leaf',
      () => ({ theta: tf.zeros([2]), extra: tf.zeros([1]) }),
      /'extra' should be float32 \[1\], but is nothing/,
    ],
    ['an extra leaf', () => ({}), /'theta' should be nothing, but is float32 \[2\]/],
    ['another shape', () => ({ theta: tf.zeros([3]) }), /'theta' should be float32 \[3\], but is float32 \[2\]/],
    ['another dtype', () => ({ theta: tf.zeros([2], 'int32') }), /'theta' should be int32 \[2\], but is float32 \[2\]/],
  ])('rejects a saved state with %s, and leaks no tensor', async (_, like, message) => {
    const state = { theta: tf.tensor1d([1, 2]) };
    const bytes = await saveState(state);
    const expected = like();
    expect(() => loadState(bytes, expected)).toThrow(StateError);
    expect(() => loadState(bytes, expected)).toThrow(expect.objectContaining({ code: 'STATE_MISMATCH' }));
    expect(() => loadState(bytes, expected)).toThrow(message);
    tf.dispose([state, expected] as never);
  });

  it.each<[name: string, change: (bytes: ArrayBuffer) => ArrayBuffer]>([
    ['no bytes', () => new ArrayBuffer(0)],
    ['a truncated header', (bytes) => bytes.slice(0, 10)],
    ['missing values', (bytes) => bytes.slice(0, -3)],
    ['extra values', (bytes) => new Uint8Array([...new Uint8Array(bytes), 0, 0, 0, 0]).buffer],
    ['other bytes', () => new TextEncoder().encode('not a state at all, but a text').buffer as ArrayBuffer],
  ])('rejects %s, and leaks no tensor', async (_, change) => {
    const state = { theta: tf.tensor1d([1, 2]) };
    const bytes = change(await saveState(state));
    expect(() => loadState(bytes, state)).toThrow(expect.objectContaining({ code: 'CORRUPT_STATE' }));
    tf.dispose(state);
  });
});
