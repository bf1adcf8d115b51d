/**
 * State as a tree of tensors: the memory of a rule, modulator or transform between steps. It is plain data, so it can
 * be saved, loaded and compared without its owner.
 */
import * as tf from '@tensorflow/tfjs-core';
import { StateError } from './errors.js';

/** A tensor, or a list or record of trees. An empty record means no state. */
export type StateTree = tf.Tensor | readonly StateTree[] | { readonly [key: string]: StateTree };

/** The state of a stateless rule, modulator, wrapper or transform: `{}`. */
export type Stateless = Readonly<Record<string, never>>;

/** The leaves of a tree with their paths, `['theta', tensor]`, in a fixed order. */
export function leaves(tree: StateTree, path = ''): [path: string, leaf: tf.Tensor][] {
  if (tree instanceof tf.Tensor) return [[path, tree]];
  return Object.entries(tree).flatMap(([key, child]) => leaves(child, path === '' ? key : `${path}/${key}`));
}

/** A tree of the same structure with `f` applied to each leaf. */
export function mapLeaves<T extends StateTree>(tree: T, f: (leaf: tf.Tensor, path: string) => tf.Tensor, path = ''): T {
  if (tree instanceof tf.Tensor) return f(tree, path) as StateTree as T;
  const child = (value: StateTree, key: string | number) =>
    mapLeaves(value, f, path === '' ? String(key) : `${path}/${key}`);
  if (Array.isArray(tree)) return tree.map(child) as unknown as T;
  return Object.fromEntries(Object.entries(tree).map(([key, value]) => [key, child(value, key)])) as unknown as T;
}

/** The bytes of a tree: a 4-byte little-endian header length, a JSON header, and the leaves' values. */
export async function saveState(tree: StateTree): Promise<ArrayBuffer> {
  const named = leaves(tree).map(([name, tensor]) => ({ name, tensor }));
  const { data, specs } = await tf.io.encodeWeights(named);
  const header = new TextEncoder().encode(JSON.stringify({ bytes: data.byteLength, leaves: specs }));
  const bytes = new Uint8Array(4 + header.length + data.byteLength);
  new DataView(bytes.buffer).setUint32(0, header.length, true);
  bytes.set(header, 4);
  bytes.set(new Uint8Array(data), 4 + header.length);
  return bytes.buffer;
}

/**
 * The tree that {@link saveState} wrote, in the structure of `like`.
 *
 * @param like A tree of the expected structure, shapes and dtypes; its values are not read.
 * @throws StateError `CORRUPT_STATE` unless the bytes are a saved state, `STATE_MISMATCH` naming the first leaf that is
 * missing or superfluous, or has another shape or dtype.
 */
export function loadState<T extends StateTree>(bytes: ArrayBuffer, like: T): T {
  const loaded = decode(bytes);
  try {
    const tree = mapLeaves(like, (expected, path) => {
      const leaf = loaded[path];
      if (leaf === undefined) throw mismatch(path, describe(expected), 'nothing');
      if (describe(leaf) !== describe(expected)) throw mismatch(path, describe(expected), describe(leaf));
      return leaf;
    });
    const expected = new Set(leaves(like).map(([path]) => path));
    const extra = Object.keys(loaded).find((path) => !expected.has(path));
    if (extra !== undefined) throw mismatch(extra, 'nothing', describe(loaded[extra] as tf.Tensor));
    return tree;
  } catch (error) {
    tf.dispose(loaded);
    throw error;
  }
}

function decode(bytes: ArrayBuffer): Record<string, tf.Tensor> {
  try {
    const length = new DataView(bytes).getUint32(0, true);
    const header = JSON.parse(new TextDecoder().decode(new Uint8Array(bytes, 4, length)));
    const values = bytes.slice(4 + length);
    if (values.byteLength !== header.bytes) throw new RangeError(`${values.byteLength} bytes, not ${header.bytes}.`);
    return tf.io.decodeWeights(values, header.leaves);
  } catch (cause) {
    throw new StateError(
      'CORRUPT_STATE',
      `${bytes.byteLength} bytes are not a saved state.`,
      'pass the bytes that saveState() returned, unchanged.',
      cause,
    );
  }
}

const describe = (tensor: tf.Tensor) => `${tensor.dtype} [${tensor.shape.join(', ')}]`;

function mismatch(path: string, expected: string, actual: string): StateError {
  return new StateError(
    'STATE_MISMATCH',
    `State at '${path}' should be ${expected}, but is ${actual}.`,
    'load a state into the product that saved it, on weights of the same shape.',
  );
}
