/**
 * Checks whether softmax competition is correct on this GPU. Its sums over a row assume that neighbouring invocations
 * form a subgroup. WGSL does not guarantee it, but all known devices do it.
 */
import { COMPETITION } from '@ghl/core/backend';
import * as tf from '@tensorflow/tfjs-core';

/** Widths for which a row uses 16, 32, … all invocations of a workgroup, and one too wide for their registers. */
const widths = [30, 100, 200, 400, 3000];
const rows = 40;
const tolerance = 1e-5;

/** Runs the kernel on the current backend, and compares the result with float64. */
export async function verifySubgroups(): Promise<boolean> {
  for (const width of widths) {
    const values = Float32Array.from({ length: rows * width }, (_, i) => Math.sin(i) * 3);
    const expected = softmax(values, width);
    const tensors: tf.Tensor[] = [tf.tensor2d(values, [rows, width])];
    let actual: Float32Array;
    try {
      const [x] = tensors as [tf.Tensor];
      tensors.push(...(tf.engine().runKernel(COMPETITION, { x }, { temperature: 1 }) as tf.Tensor[]));
      actual = await tensors[1]!.data<'float32'>();
    } finally {
      tf.dispose(tensors);
    }
    if (actual.some((share, i) => !(Math.abs(share - expected[i]!) < tolerance))) return false;
  }
  return true;
}

function softmax(values: Float32Array, width: number): Float64Array {
  const shares = Float64Array.from(values, Math.exp);
  for (let first = 0; first < shares.length; first += width) {
    const total = shares.subarray(first, first + width).reduce((sum, share) => sum + share, 0);
    for (let i = first; i < first + width; i++) shares[i]! /= total;
  }
  return shares;
}
