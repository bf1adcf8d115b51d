/** `bench doctor`: which backends this machine can use, and for the rest why not and what to install. */
import Table from 'cli-table3';
import { askChild } from './ask-child.js';
import { type BackendReport, backendNames, notSupported } from './backends.js';
import { type Environment, environment } from './environment.js';
import { failureOf } from './failure.js';

/** The document. */
export interface Diagnosis {
  readonly schemaVersion: 1;
  readonly backends: Readonly<Record<string, BackendReport>>;
  readonly environment: Environment;
}

/** Tries every backend, each in a process of its own. */
export async function doctor(): Promise<Diagnosis> {
  const backends: Record<string, BackendReport> = {};
  for (const name of backendNames) backends[name] = await examine(name);
  return { schemaVersion: 1, backends, environment: environment() };
}

/** Tries a backend in a process of its own; never throws. */
export async function examine(name: string): Promise<BackendReport> {
  const died = {
    code: 'BACKEND_DIED' as const,
    what: `The process that tried ${name}`,
    help: 'its native part does not fit this machine: install it anew, or use another backend.',
  };
  try {
    return await askChild<BackendReport>({ script: 'doctor-process', died }, name);
  } catch (error) {
    const { message, help } = failureOf(error);
    return notSupported(message, help);
  }
}

/** A table of what there is, then what is missing. */
export function doctorText({
  backends,
  environment: { cpu, cores, memoryGiB, versions, platform },
}: Diagnosis): string {
  const head = ['backend', 'runs here', 'device', 'driver', 'threads'];
  const table = new Table({ head, style: { head: [], border: [], compact: true } });
  const shown = (value: string | number | null) => (value === null ? '–' : String(value));
  for (const [name, { supported, device, driver, threads }] of Object.entries(backends)) {
    table.push([name, supported ? 'yes' : 'no', shown(device), shown(driver), shown(threads)]);
  }
  const remarks = Object.entries(backends).flatMap(([name, { reason, help, notes }]) => [
    ...(reason === null ? [] : [`${name}: ${reason}`, `  help: ${help}`]),
    ...notes.map((note) => `${name}: ${note}`),
  ]);
  const machine = `Node ${versions.node}, ${platform}, ${cores} cores of ${cpu}, ${memoryGiB} GiB`;
  return [table.toString(), ...remarks, machine].join('\n');
}
