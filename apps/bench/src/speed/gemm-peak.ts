/** The reference speed of a machine: how fast the backend multiplies two matrices at that time. */
import * as tf from '@tensorflow/tfjs-core';

/** Sides of the square matrices, ascending. */
const SIDES = [192, 384, 576, 768, 1152, 1536] as const;

/** A product that takes longer than this, in ms, is the largest one. */
const LONGEST = 250;

/** Measures between other work, so that both run under the same conditions; keeps the best. */
export interface GemmPeak {
  /** Computes one product of each size. */
  measure(): Promise<void>;
  /** The best so far, in GFLOP/s, by the side of the matrices. */
  readonly gflops: Readonly<Record<number, number>>;
  /** The best of all. */
  best(): number;
}

/** @param product Multiplies two matrices of this side and returns the ms that it took. */
export function gemmPeak(product: (side: number) => Promise<number>): GemmPeak {
  const gflops: Record<number, number> = {};
  return {
    gflops,
    best: () => Math.max(...Object.values(gflops)),
    async measure() {
      for (const side of SIDES) {
        const ms = await product(side);
        gflops[side] = Math.max(gflops[side] ?? 0, (2e-6 * side ** 3) / ms);
        if (ms > LONGEST) break;
      }
    },
  };
}

/** One product on the active backend. */
export async function timeMatMul(side: number): Promise<number> {
  const [a, b] = [tf.fill([side, side], 0.5), tf.fill([side, side], 0.25)];
  const from = performance.now();
  const product = tf.matMul(a as tf.Tensor2D, b as tf.Tensor2D);
  const corner = tf.slice(product, [0, 0], [1, 1]); // reading it waits for the work on any device
  await corner.data();
  const ms = performance.now() - from;
  tf.dispose([a, b, product, corner]);
  return ms;
}
