/** The clock of this process, for the trainer and for measurements. */
import { setImmediate } from 'node:timers/promises';
import type { Clock } from '@ghl/race';

/**
 * Lets the process handle pending signals and messages. One of them is that its parent has ended, after which it must
 * not write any more.
 */
export function yieldToEventLoop(): Promise<void> {
  return setImmediate();
}

/** The time and the event loop of this process. */
export const clock: Clock = { now: () => performance.now(), yieldToEventLoop };
