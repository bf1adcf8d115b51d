/** The process whose memory is measured: makes a few steps, says how much it took at most, and ends. */
import { readFileSync } from 'node:fs';
import type { ActiveBackend } from '@ghl/core';
import { activateBackend } from '../backends.js';
import { type Failure, failureOf } from '../failure.js';
import type { PlannedRecipe } from '../race-plan.js';
import type { Batches } from './batches.js';
import { contender, MEMORY_STEPS } from './contender.js';

/** What the process is told. */
export interface MemoryTask {
  readonly recipe: PlannedRecipe;
  readonly network: string;
  readonly backend: string;
  readonly threads: number;
  /** As the timed process had them. */
  readonly numerics: ActiveBackend['numerics'];
  readonly batches: Batches;
}

/** What it says. */
export type MemoryMessage =
  | { readonly type: 'ready' }
  | { readonly type: 'done'; readonly mebibytes: number }
  | { readonly type: 'failed'; readonly failure: Failure };

/** Peak resident memory of this process in MiB. */
function peak(): number {
  const kibibytes = highWaterMark() ?? process.resourceUsage().maxRSS;
  return kibibytes / 1024;
}

/** What Linux says: maxRSS there begins at what the parent process had when it started this one. */
function highWaterMark(): number | null {
  try {
    const found = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'));
    return found === null ? null : Number(found[1]);
  } catch {
    return null;
  }
}

const say = (message: MemoryMessage) =>
  new Promise<void>((said) => process.send?.(message, undefined, {}, () => said()));

process.once('disconnect', () => process.exit(1));
process.once('message', async ({ recipe, network, backend, threads, numerics, batches }: MemoryTask) => {
  try {
    await activateBackend(backend, { threads, numerics });
    const { step } = contender(recipe, network, batches);
    for (let i = 0; i < MEMORY_STEPS; i++) await step(i);
    await say({ type: 'done', mebibytes: peak() });
  } catch (error) {
    await say({ type: 'failed', failure: failureOf(error) });
  }
  process.exit(0);
});
await say({ type: 'ready' });
