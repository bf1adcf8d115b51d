import { describe, expect, it } from 'vitest';
import { middle, ratios, speedOf } from './summary.js';

describe('a summary', () => {
  it('has the median and the median deviation from it', () => {
    expect(middle([9, 1, 5, 3, 100])).toEqual({ median: 5, spread: 4 });
  });

  it('computes a speed from times', () => {
    // 64 images of 2 GFLOP in 100 ms are 1,280 GFLOP/s, twice the peak.
    expect(speedOf([90, 100, 120], 64, 2e9, 640, 300)).toEqual({
      msPerStep: 100,
      msSpread: 10,
      imagesPerSecond: 640,
      effectiveGflops: 1280,
      ofGemmPeak: 2,
      peakRssMiB: 300,
      ms: [90, 100, 120],
    });
  });

  it('compares steps of the same round', () => {
    expect(middle(ratios([3, 8, 30], [2, 4, 10])).median).toBe(2);
  });
});
