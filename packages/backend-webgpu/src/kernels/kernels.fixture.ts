/** Values for tests of kernels, how far results are off, and kernels run by name. */
import * as tf from '@tensorflow/tfjs-core';
import { expect } from 'vitest';

/** Repeatable values in [-1, 1), of both signs. */
export function values(size: number, seed: number): Float32Array {
  let state = (seed + 1) * 2654435761;
  return Float32Array.from({ length: size }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  });
}

export const sizeOf = (shape: readonly number[]) => shape.reduce((n, d) => n * d, 1);

export function tensor(shape: readonly number[], seed: number): tf.Tensor {
  return tf.tensor(values(sizeOf(shape), seed), [...shape]);
}

/** Largest difference over largest value; a NaN on either side counts as infinite. */
export function error(got: ArrayLike<number>, wanted: ArrayLike<number>): number {
  expect(got.length).toBe(wanted.length);
  let [difference, largest] = [0, 0];
  for (let i = 0; i < wanted.length; i++) {
    const d = Math.abs(got[i]! - wanted[i]!);
    if (Number.isNaN(d)) return Infinity;
    difference = Math.max(difference, d);
    largest = Math.max(largest, Math.abs(wanted[i]!));
  }
  return difference === 0 ? 0 : difference / largest;
}

/** All outputs of a kernel, read. Their tensors, and the inputs, are let go of. */
export async function run(
  name: string,
  inputs: Readonly<Record<string, tf.Tensor>>,
  attrs: object,
): Promise<Float32Array[]> {
  const outputs = [tf.engine().runKernel(name, inputs as tf.NamedTensorMap, attrs as never)].flat() as tf.Tensor[];
  const read = await Promise.all(outputs.map((output) => output.data<'float32'>()));
  tf.dispose([...outputs, ...Object.values(inputs)]);
  return read;
}
