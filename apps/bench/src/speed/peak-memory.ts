/** The peak memory of training with a recipe, measured in a separate process. */
import type { ActiveBackend } from '@ghl/core';
import { askChild } from '../platform/child-process.js';
import type { Batches } from './batches.js';
import type { CandidateChoice } from './candidate.js';

/** The request to the process that measures memory. */
export interface MemoryTask {
  readonly choice: CandidateChoice;
  readonly network: string;
  readonly backend: string;
  readonly threads: number;
  /** Of the timed process. */
  readonly numerics: ActiveBackend['numerics'];
  readonly batches: Batches;
}

/** The peak memory of a process, in MiB. */
export interface PeakMemory {
  /** Resident: Node, the backend's memory, and its threads. */
  readonly host: number;
  /** Of the device's memory; null if the backend has none, or does not report it. */
  readonly device: number | null;
}

/**
 * Measures the peak memory of a recipe.
 *
 * @throws GhlError `MEMORY_PROCESS_DIED`, or the error of the process.
 */
export function peakMemory(task: MemoryTask): Promise<PeakMemory> {
  const died = {
    code: 'MEMORY_PROCESS_DIED',
    what: `The process that measures the memory of ${task.choice.recipe.name}`,
    help: 'often memory ran out: try a smaller --batch.',
  } as const;
  return askChild({ script: 'processes/memory-process', died }, task);
}
