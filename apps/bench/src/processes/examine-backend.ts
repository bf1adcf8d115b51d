/** Tries a backend in a separate process, since native code can end the process that loads it. */
import { failureOf } from '@ghl/race';
import { type BackendReport, notSupported } from '../platform/backends.js';
import { askChild } from '../platform/child-process.js';

/** The report of a backend; never throws. */
export async function examineBackend(name: string): Promise<BackendReport> {
  const died = {
    code: 'BACKEND_DIED',
    what: `The process that tried ${name}`,
    help: 'its native part does not fit this machine: reinstall it, or use another backend.',
  } as const;
  try {
    return await askChild<BackendReport>({ script: 'processes/doctor-process', died }, name);
  } catch (error) {
    const { message, help } = failureOf(error);
    return notSupported(message, help);
  }
}
