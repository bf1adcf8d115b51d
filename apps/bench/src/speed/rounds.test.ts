import { describe, expect, it, vi } from 'vitest';
import { type Candidate, runRound, timeRounds, warmUp } from './rounds.js';

function candidates(...ms: number[]): { all: Candidate[]; turns: string[] } {
  const turns: string[] = [];
  const all = ms.map((time, i) => ({
    name: 'abc'[i] as string,
    step: async (batch: number) => {
      turns.push(`${'abc'[i]}${batch}`);
      return time + batch;
    },
  }));
  return { all, turns };
}

describe('rounds', () => {
  it('give all candidates the same batch, in an alternating order', async () => {
    const { all, turns } = candidates(10, 20, 30);
    const times: number[][] = [];
    for (let round = 0; round < 3; round++) times.push(await runRound(all, round));
    expect(turns).toEqual(['a0', 'b0', 'c0', 'c1', 'b1', 'a1', 'a2', 'b2', 'c2']);
    expect(times).toEqual([
      [10, 20, 30],
      [11, 21, 31],
      [12, 22, 32],
    ]);
  });

  it('measure the GEMM peak before, at most ten times between, and after', async () => {
    for (const [rounds, measurements] of [
      [1, 2],
      [4, 5],
      [50, 11],
    ] as const) {
      const { all, turns } = candidates(1, 2);
      const peak = { gflops: {}, best: () => 0, measure: async () => void turns.push('gemm') };
      const over: number[] = [];
      const times = await timeRounds(all, rounds, [peak], (round) => over.push(round));
      expect(times.map((each) => each.length)).toEqual([rounds, rounds]);
      expect(over.at(-1)).toBe(rounds);
      expect(turns.filter((turn) => turn === 'gemm')).toHaveLength(measurements);
      expect([turns[0], turns.at(-1)]).toEqual(['gemm', 'gemm']);
    }
  });

  it('warm up at least three times, and at most for the given rounds', async () => {
    vi.spyOn(performance, 'now').mockReturnValue(0);
    const few = candidates(1);
    await warmUp(few.all, 1);
    expect(few.turns).toHaveLength(3);
    const more = candidates(1);
    await warmUp(more.all, 7);
    expect(more.turns).toHaveLength(7);
    vi.restoreAllMocks();
  });
});
