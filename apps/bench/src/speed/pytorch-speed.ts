/** The speed of the PyTorch reference on the same steps, and the comparison with ours. */

import { assignmentOf } from '@ghl/race';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import type { Batches } from './batches.js';
import { MEMORY_STEPS } from './candidate.js';
import { flopPerImage } from './flop.js';
import { PyTorchReference, VARIANTS, type Variant } from './pytorch-reference.js';
import type { Candidate } from './rounds.js';
import { middle, type PytorchSpeed, ratios, type Speed, speedOf } from './summary.js';

const variants = Object.keys(VARIANTS) as Variant[];

/** A candidate for each variant of the reference. */
export function referenceCandidates(reference: PyTorchReference): Candidate[] {
  return variants.map((variant) => ({
    name: `PyTorch ${variant}`,
    isRemote: true,
    step: async (round) => (await reference.step(variant, round)).ms,
  }));
}

/** The comparison and its result. */
export interface Comparison {
  readonly model: LayersModel;
  readonly network: string;
  readonly batches: Batches;
  readonly threads: number;
  /** The reference's GEMM peak. */
  readonly gemmPeakGflops: number;
  /** Our times by recipe. */
  readonly ours: Readonly<Record<string, readonly number[]>>;
  /** Those of {@link referenceCandidates}, in their order. */
  readonly theirs: readonly (readonly number[])[];
  readonly say: (text: string) => void;
}

/** The reference's numbers. Its memory is measured in a separate process for each variant, as ours is. */
export async function pytorchSpeed({ versions }: PyTorchReference, comparison: Comparison): Promise<PytorchSpeed> {
  const { model, network, batches, threads, gemmPeakGflops, ours, theirs, say } = comparison;
  const speeds: Partial<Record<Variant, Speed>> = {};
  for (const [i, variant] of variants.entries()) {
    say(`measuring the memory of PyTorch ${variant}`);
    const mebibytes = await peakMemory(variant, comparison);
    const recipe = variant === 'backprop' ? 'backprop' : 'ghl';
    const flop = flopPerImage(model, assignmentOf({ name: recipe }, network, 1));
    speeds[variant] = speedOf(theirs[i] as readonly number[], batches.size, flop, gemmPeakGflops, mebibytes);
  }
  const speedByVariant = speeds as Record<Variant, Speed>;
  const quotients = (ms: readonly number[]) =>
    Object.fromEntries(
      variants.map((variant) => [variant, middle(ratios(speedByVariant[variant].ms, ms)).median]),
    ) as Record<Variant, number>;
  return {
    versions,
    threads,
    gemmPeakGflops,
    ways: speedByVariant,
    oursToTheirs: Object.fromEntries(Object.entries(ours).map(([recipe, ms]) => [recipe, quotients(ms)])),
  };
}

async function peakMemory(variant: Variant, { model, network, batches, threads }: Comparison): Promise<number> {
  const reference = await PyTorchReference.start();
  try {
    await reference.begin(model, network, batches, threads);
    for (let i = 0; i < MEMORY_STEPS; i++) await reference.step(variant, i);
    return await reference.peakMemory();
  } finally {
    await reference.close();
  }
}
