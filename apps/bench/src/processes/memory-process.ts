/** The process whose memory is measured: makes a few steps, answers with its peak memory, and ends. */
import { readFileSync } from 'node:fs';
import * as tf from '@tensorflow/tfjs-core';
import { activateBackend } from '../platform/backends.js';
import { serve } from '../platform/child-process.js';
import { MEMORY_STEPS, recipeCandidate } from '../speed/candidate.js';
import type { MemoryTask, PeakMemory } from '../speed/peak-memory.js';

/** Peak resident memory of this process in MiB. */
function peak(): number {
  const kibibytes = highWaterMark() ?? process.resourceUsage().maxRSS;
  return kibibytes / 1024;
}

/** The value on Linux, where maxRSS starts at that of the parent process. */
function highWaterMark(): number | null {
  try {
    const match = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'));
    return match === null ? null : Number(match[1]);
  } catch {
    return null;
  }
}

/** The memory that the backend has allocated on the device. It keeps freed memory, so this is its peak. */
function onDevice(): number | null {
  const { numBytesInGPUAllocated: bytes } = tf.memory() as { numBytesInGPUAllocated?: number };
  return bytes === undefined ? null : bytes / 2 ** 20;
}

await serve<MemoryTask, PeakMemory>(async ({ choice, network, backend, threads, numerics, batches }) => {
  await activateBackend(backend, { threads, numerics });
  const { step } = recipeCandidate(choice, network, batches);
  for (let i = 0; i < MEMORY_STEPS; i++) await step(i);
  return { host: peak(), device: onDevice() };
});
