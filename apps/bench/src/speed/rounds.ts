/**
 * Interleaved timing in one process. In every round, each candidate makes one step on the same batch, in an alternating
 * order. Other load of the machine therefore affects all candidates equally.
 */
import { setTimeout } from 'node:timers/promises';
import { yieldToEventLoop } from '../platform/clock.js';
import type { GemmPeak } from './gemm-peak.js';

/** A candidate in the rounds. */
export interface Candidate {
  readonly name: string;
  /** Makes a step on the batch of this number and returns the ms that it took. */
  step(batch: number): Promise<number>;
  /** Whether it computes in another process, whose threads must be idle before the next step. */
  readonly isRemote?: boolean;
}

/** Number of measurements of the GEMM peak between the rounds. */
const GEMM_MEASUREMENTS = 10;

/** Time for another process's threads to stop spinning, in ms. */
const REST = 5;

/** The ms of each candidate's step in a round, in the order of the candidates. */
export async function runRound(candidates: readonly Candidate[], round: number): Promise<number[]> {
  const apart = candidates.some(({ isRemote }) => isRemote);
  const order = candidates.map((_, i) => i);
  if (round % 2 === 1) order.reverse();
  const times: number[] = [];
  for (const i of order) {
    await (apart ? setTimeout(REST) : yieldToEventLoop());
    times[i] = await (candidates[i] as Candidate).step(round);
  }
  return times;
}

/**
 * Rounds before the timed ones, while code is compiled and memory grows.
 *
 * @param most Greatest number of rounds; at least 3 are made.
 * @returns The ms of the last round, summed over the candidates.
 */
export async function warmUp(candidates: readonly Candidate[], most: number): Promise<number> {
  const from = performance.now();
  for (let round = 0; ; round++) {
    const began = performance.now();
    await runRound(candidates, round);
    const now = performance.now();
    const enough = round + 1 >= most || now - from > 3000;
    if (round >= 2 && enough) return now - began;
  }
}

/**
 * The timed rounds. The GEMM peak is measured before, between and after them.
 *
 * @param onRound Receives the number of finished rounds.
 * @returns The times of each candidate, in their order.
 */
export async function timeRounds(
  candidates: readonly Candidate[],
  rounds: number,
  peaks: readonly GemmPeak[],
  onRound: (over: number) => void,
): Promise<number[][]> {
  const times: number[][] = candidates.map(() => []);
  const due = (round: number) => Math.floor((round * GEMM_MEASUREMENTS) / rounds);
  for (let round = 0; round < rounds; round++) {
    if (round === 0 || due(round) > due(round - 1)) for (const { measure } of peaks) await measure();
    (await runRound(candidates, round)).forEach((ms, i) => {
      times[i]?.push(ms);
    });
    onRound(round + 1);
  }
  for (const { measure } of peaks) await measure();
  return times;
}
