import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import { beforeAll, describe, expect, it } from 'vitest';
import { gemmPeak, timeMatMul } from './gemm-peak.js';

beforeAll(() => tf.setBackend('cpu'));

describe('the GEMM peak', () => {
  it('is the best of all products, with 2·n³ operations each', async () => {
    const ms = [4, 2, 3];
    let round = -1;
    const peak = gemmPeak(async () => ms[round] as number);
    for (round = 0; round < ms.length; round++) await peak.measure();
    expect(peak.gflops[768]).toBeCloseTo((2 * 768 ** 3) / 2e-3 / 1e9, 8);
    expect(Object.keys(peak.gflops)).toHaveLength(6);
    expect(peak.best()).toBe(peak.gflops[1536]);
  });

  it('tries no larger matrix after a product that takes too long', async () => {
    const sides: number[] = [];
    const peak = gemmPeak(async (side) => {
      sides.push(side);
      return side; // ms
    });
    await peak.measure();
    expect(sides).toEqual([192, 384]);
  });

  it('is measured on the active backend, and leaves no tensor there', async () => {
    expect(await timeMatMul(8)).toBeGreaterThan(0);
  });
});
