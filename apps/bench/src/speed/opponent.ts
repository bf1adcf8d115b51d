/** What the PyTorch twin makes of the same steps, and how ours compare. */
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { assignmentOf } from '../training/recipe.js';
import type { Batches } from './batches.js';
import { MEMORY_STEPS } from './contender.js';
import { flopPerImage } from './flop.js';
import { Twin, WAYS, type Way } from './pytorch.js';
import type { Player } from './rounds.js';
import { middle, type PytorchSpeed, ratios, type Speed, speedOf } from './summary.js';

const ways = Object.keys(WAYS) as Way[];

/** The twin as a player for each of its ways. */
export function twinPlayers(twin: Twin): Player[] {
  return ways.map((way) => ({
    name: `PyTorch ${way}`,
    elsewhere: true,
    step: async (round) => (await twin.step(way, round)).ms,
  }));
}

/** What was compared, and what came out. */
export interface Encounter {
  readonly model: LayersModel;
  readonly network: string;
  readonly batches: Batches;
  readonly threads: number;
  /** The twin's GEMM peak. */
  readonly gemmPeakGflops: number;
  /** Our times by recipe. */
  readonly ours: Readonly<Record<string, readonly number[]>>;
  /** Those of {@link twinPlayers}, in their order. */
  readonly theirs: readonly (readonly number[])[];
  readonly say: (text: string) => void;
}

/** The twin's numbers. Its memory is measured in a fresh process for each way, as ours is. */
export async function pytorchSpeed({ versions }: Twin, encounter: Encounter): Promise<PytorchSpeed> {
  const { model, network, batches, threads, gemmPeakGflops, ours, theirs, say } = encounter;
  const speeds: Partial<Record<Way, Speed>> = {};
  for (const [i, way] of ways.entries()) {
    say(`measuring the memory of PyTorch ${way}`);
    const mebibytes = await peakMemory(way, encounter);
    const recipe = way === 'backprop' ? 'backprop' : 'ghl';
    const flop = flopPerImage(model, assignmentOf({ name: recipe }, network, 1));
    speeds[way] = speedOf(theirs[i] as readonly number[], batches.size, flop, gemmPeakGflops, mebibytes);
  }
  const found = speeds as Record<Way, Speed>;
  const quotients = (ms: readonly number[]) =>
    Object.fromEntries(ways.map((way) => [way, middle(ratios(found[way].ms, ms)).median])) as Record<Way, number>;
  return {
    versions,
    threads,
    gemmPeakGflops,
    ways: found,
    oursToTheirs: Object.fromEntries(Object.entries(ours).map(([recipe, ms]) => [recipe, quotients(ms)])),
  };
}

async function peakMemory(way: Way, { model, network, batches, threads }: Encounter): Promise<number> {
  const twin = await Twin.start();
  try {
    await twin.begin(model, network, batches, threads);
    for (let i = 0; i < MEMORY_STEPS; i++) await twin.step(way, i);
    return await twin.peakMemory();
  } finally {
    await twin.close();
  }
}
