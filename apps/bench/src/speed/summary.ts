/** The result of a comparison of speeds, with the names of `bench speed --json`. */
import type { ActiveBackend } from '@ghl/core';
import { median, medianAbsoluteDeviation } from 'simple-statistics';
import type { Environment } from '../platform/environment.js';
import type { ProfileRow } from './profile.js';
import type { Variant } from './pytorch-reference.js';

/** A median with its spread: the median absolute deviation from it. */
export interface Middle {
  readonly median: number;
  readonly spread: number;
}

/** The speed of one candidate. */
export interface Speed {
  /** Median of {@link ms}. */
  readonly msPerStep: number;
  /** Median absolute deviation of {@link ms}. */
  readonly msSpread: number;
  readonly imagesPerSecond: number;
  /** Operations of a step as direct sums, divided by its median time, in 10⁹ per second. */
  readonly effectiveGflops: number;
  /** {@link effectiveGflops} divided by the GEMM peak of the same library in the same run. */
  readonly ofGemmPeak: number;
  /** The peak resident memory of a separate process, in MiB. */
  readonly peakRssMiB: number;
  /** Every timed step, in order. Steps of the same index belong to the same round. */
  readonly ms: readonly number[];
}

/** The speed of a recipe. */
export interface RecipeSpeed extends Speed {
  readonly gflopPerImage: number;
  /** Number of tensors that the timed steps added. */
  readonly leakedTensors: number;
  /**
   * The peak allocation of the backend on its device, in MiB; null if the device has no separate memory, or does not
   * report it.
   */
  readonly peakDeviceMiB: number | null;
  readonly profile?: readonly ProfileRow[];
}

/** The PyTorch reference. */
export interface PytorchSpeed {
  readonly versions: { readonly torch: string; readonly python: string };
  readonly threads: number;
  readonly gemmPeakGflops: number;
  readonly ways: { readonly [variant in Variant]: Speed };
  /** By recipe and variant: images a second here by images a second there, median over the pairs of steps. */
  readonly oursToTheirs: Readonly<Record<string, { readonly [variant in Variant]: number }>>;
}

/** The document. */
export interface SpeedSummary {
  readonly schemaVersion: 1;
  readonly network: string;
  readonly dataset: string;
  readonly batch: number;
  readonly backend: string;
  readonly threads: number;
  /** Timed steps of each recipe. */
  readonly steps: number;
  /** The best product of two square matrices in the same run, in GFLOP/s. */
  readonly gemmPeakGflops: number;
  /** The best by side of the matrices. */
  readonly gemmGflops: Readonly<Record<number, number>>;
  readonly recipes: Readonly<Record<string, RecipeSpeed>>;
  /** Time of a GHL step divided by that of back-propagation, median over the pairs; null unless both were timed. */
  readonly ghlToBackprop: number | null;
  /** Its median absolute deviation. */
  readonly ghlToBackpropSpread: number | null;
  readonly pytorch?: PytorchSpeed;
  /** The load average of the minute before; 0 if the system has none. */
  readonly loadBefore: number;
  readonly device: string | null;
  readonly driver: string | null;
  /** Kernels that the backend registered or replaced, and missing features. */
  readonly kernels: readonly string[];
  readonly notes: readonly string[];
  /** Which of its kernels the backend chose. */
  readonly numerics?: NonNullable<ActiveBackend['numerics']>;
  readonly environment: Environment;
}

/** The document of a comparison of backends: for each, its result, or the reason why it did not run. */
export interface BackendsSummary {
  readonly schemaVersion: 1;
  readonly network: string;
  readonly batch: number;
  readonly backends: Readonly<Record<string, SpeedSummary | NotRun>>;
}

/** A backend that did not run. */
export interface NotRun {
  readonly reason: string;
  readonly help: string;
}

/** Median and median absolute deviation. */
export function middle(values: readonly number[]): Middle {
  return { median: median([...values]), spread: medianAbsoluteDeviation([...values]) };
}

/** The ratio of `a` to `b`, step by step. */
export function ratios(a: readonly number[], b: readonly number[]): number[] {
  return a.map((value, i) => value / (b[i] as number));
}

/** A speed from its times. */
export function speedOf(
  ms: readonly number[],
  batch: number,
  flopPerImage: number,
  gemmPeakGflops: number,
  peakRssMiB: number,
): Speed {
  const { median: msPerStep, spread: msSpread } = middle(ms);
  const imagesPerSecond = (1000 * batch) / msPerStep;
  const effectiveGflops = (imagesPerSecond * flopPerImage) / 1e9;
  return {
    msPerStep,
    msSpread,
    imagesPerSecond,
    effectiveGflops,
    ofGemmPeak: effectiveGflops / gemmPeakGflops,
    peakRssMiB,
    ms,
  };
}
