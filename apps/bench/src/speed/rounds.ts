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
  /** Whether it computes in another process, whose threads must have come to rest before anybody else's turn. */
  readonly isRemote?: boolean;
}

/** How often the GEMM peak is measured in between. */
const GEMM_MEASUREMENTS = 10;

/** Time for another process's threads to stop spinning, in ms. */
const REST = 5;

/** The ms of each player's step in a round, in the candidates' order. */
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
 * @param most Rounds at most, but never fewer than 3.
 * @returns The last round's ms, all candidates together.
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
 * The rounds that count, with the GEMM peaks measured before, in between and after.
 *
 * @param onRound Told how many rounds are over.
 * @returns Each player's times, in the candidates' order.
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
