/** `bench doctor`: the backends that this machine can use; for the others, the reason and the remedy. */
import Table from 'cli-table3';
import type { Command } from '../options/command.js';
import { type BackendReport, backendNames } from '../platform/backends.js';
import { type Environment, environment } from '../platform/environment.js';
import { examineBackend } from '../processes/examine-backend.js';

/** The document. */
interface Diagnosis {
  readonly schemaVersion: 1;
  readonly backends: Readonly<Record<string, BackendReport>>;
  readonly environment: Environment;
}

export const command: Command<object, Diagnosis> = {
  name: 'doctor',
  describe: 'show which backends this machine can use; for the others, why not and what to install',
  options: [],
  run: diagnose,
  text: doctorText,
  document: (diagnosis) => diagnosis,
};

/** Tries every backend, one after the other. */
async function diagnose(): Promise<Diagnosis> {
  const backends: Record<string, BackendReport> = {};
  for (const name of backendNames) backends[name] = await examineBackend(name);
  return { schemaVersion: 1, backends, environment: environment() };
}

/** A table of the backends, then remarks and the machine. */
function doctorText({ backends, environment: { cpu, cores, memoryGiB, versions, platform } }: Diagnosis): string {
  const head = ['backend', 'runs here', 'device', 'driver', 'threads'];
  const table = new Table({ head, style: { head: [], border: [], compact: true } });
  const cell = (value: string | number | null) => (value === null ? '–' : String(value));
  for (const [name, { supported, device, driver, threads }] of Object.entries(backends)) {
    table.push([name, supported ? 'yes' : 'no', cell(device), cell(driver), cell(threads)]);
  }
  const remarks = Object.entries(backends).flatMap(([name, { reason, help, notes }]) => [
    ...(reason === null ? [] : [`${name}: ${reason}`, `  help: ${help}`]),
    ...notes.map((note) => `${name}: ${note}`),
  ]);
  const machine = `Node ${versions.node}, ${platform}, ${cores} cores of ${cpu}, ${memoryGiB} GiB`;
  return [table.toString(), ...remarks, machine].join('\n');
}
