/** Comparisons for tests of kernels, and the same computation on another backend. */
import '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import { expect } from 'vitest';

export const sizeOf = (shape: readonly number[]) => shape.reduce((n, d) => n * d, 1);

/** Expects the same numbers, with 0 equal to −0. Much faster than `toEqual`. */
export function expectSame(actual: ArrayLike<number>, expected: ArrayLike<number>): void {
  expect(actual.length).toBe(expected.length);
  for (let i = 0; i < expected.length; i++) {
    if (!Object.is(actual[i]! + 0, expected[i]! + 0)) expect(`[${i}] ${actual[i]}`).toBe(`[${i}] ${expected[i]}`);
  }
}

/** The same computation on this backend and on the cpu backend. */
export async function onBoth(compute: () => tf.Tensor[]): Promise<[Float32Array[], Float32Array[]]> {
  const results: Float32Array[][] = [];
  for (const name of ['wasm', 'cpu']) {
    await tf.setBackend(name);
    results.push(tf.tidy(() => compute().map((t) => t.dataSync<'float32'>().slice())));
  }
  await tf.setBackend('wasm');
  return results as [Float32Array[], Float32Array[]];
}

/** Calls `visit` with the offsets of x, y and W, for each term of a convolution, full or depthwise. */
export function forEachTerm(
  info: tf.backend_util.Conv2DInfo,
  depthwise: boolean,
  visit: (xAt: number, yAt: number, wAt: number) => void,
): void {
  const { batchSize, inHeight, inWidth, inChannels, outHeight, outWidth, outChannels } = info;
  const multiplier = outChannels / inChannels;
  for (let b = 0; b < batchSize; b++)
    for (let p = 0; p < outHeight; p++)
      for (let q = 0; q < outWidth; q++)
        for (let i = 0; i < info.filterHeight; i++)
          for (let j = 0; j < info.filterWidth; j++) {
            const row = p * info.strideHeight + i * info.dilationHeight - info.padInfo.top;
            const column = q * info.strideWidth + j * info.dilationWidth - info.padInfo.left;
            if (row < 0 || row >= inHeight || column < 0 || column >= inWidth) continue;
            for (let k = 0; k < outChannels; k++)
              for (let c = 0; c < inChannels; c++) {
                if (depthwise && c !== Math.floor(k / multiplier)) continue;
                const tap = i * info.filterWidth + j;
                visit(
                  ((b * inHeight + row) * inWidth + column) * inChannels + c,
                  ((b * outHeight + p) * outWidth + q) * outChannels + k,
                  depthwise ? tap * outChannels + k : (tap * inChannels + c) * outChannels + k,
                );
              }
          }
}
