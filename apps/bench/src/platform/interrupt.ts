/** Work that a signal can stop. */
import { GhlError } from '@ghl/core';
import { INTERRUPTED } from './failure.js';

/**
 * Waits for work, or for Ctrl-C or SIGTERM if they are first. The work itself continues until the process ends.
 *
 * @param what The interrupted work, as the subject of a sentence.
 * @throws GhlError `INTERRUPTED` with the help given.
 */
export async function untilInterrupted<T>(work: Promise<T>, what: string, help: string): Promise<T> {
  let interrupt: (signal: NodeJS.Signals) => void = () => {};
  const interrupted = new Promise<never>((_, reject) => {
    interrupt = (signal) => reject(new GhlError(INTERRUPTED, `${what} was stopped by ${signal}.`, help));
  });
  process.once('SIGINT', interrupt).once('SIGTERM', interrupt);
  try {
    return await Promise.race([work, interrupted]);
  } finally {
    process.off('SIGINT', interrupt).off('SIGTERM', interrupt);
  }
}
