import { describe, expect, it, vi } from 'vitest';
import { type Player, playRound, warmUp } from './rounds.js';

function players(...ms: number[]): { all: Player[]; turns: string[] } {
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
  it('give everybody the same batch, in an order that alternates', async () => {
    const { all, turns } = players(10, 20, 30);
    const times: number[][] = [];
    for (let round = 0; round < 3; round++) times.push(await playRound(all, round));
    expect(turns).toEqual(['a0', 'b0', 'c0', 'c1', 'b1', 'a1', 'a2', 'b2', 'c2']);
    expect(times).toEqual([
      [10, 20, 30],
      [11, 21, 31],
      [12, 22, 32],
    ]);
  });

  it('warm up three times at least, and no longer than asked', async () => {
    vi.spyOn(performance, 'now').mockReturnValue(0);
    const few = players(1);
    await warmUp(few.all, 1);
    expect(few.turns).toHaveLength(3);
    const more = players(1);
    await warmUp(more.all, 7);
    expect(more.turns).toHaveLength(7);
    vi.restoreAllMocks();
  });
});
