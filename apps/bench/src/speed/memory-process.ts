/** The process whose memory is measured: makes a few steps, says how much it took at most, and ends. */
import { readFileSync } from 'node:fs';
import type { ActiveBackend } from '@ghl/core';
import * as tf from '@tensorflow/tfjs-core';
import { answerParent } from '../ask-child.js';
import { activateBackend } from '../backends.js';
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

/** The most memory that a process took, in MiB. */
export interface PeakMemory {
  /** Resident: Node, the backend's memory, and its threads. */
  readonly host: number;
  /** Of the device's own; null where the backend has none, or does not tell. */
  readonly device: number | null;
}

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

/** What the backend has allocated on the device, which it keeps to use again: its most so far. */
function onDevice(): number | null {
  const { numBytesInGPUAllocated: bytes } = tf.memory() as { numBytesInGPUAllocated?: number };
  return bytes === undefined ? null : bytes / 2 ** 20;
}

await answerParent<MemoryTask, PeakMemory>(async ({ recipe, network, backend, threads, numerics, batches }) => {
  await activateBackend(backend, { threads, numerics });
  const { step } = contender(recipe, network, batches);
  for (let i = 0; i < MEMORY_STEPS; i++) await step(i);
  return { host: peak(), device: onDevice() };
});
