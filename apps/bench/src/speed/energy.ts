/** Energy that the processors of this machine took, where it tells: Linux counts it by RAPL, often for root only. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Joules since the meter was read before; 0 at first. */
export type EnergyMeter = () => number;

/** A meter over all processor packages; null where the machine does not tell. */
export function energyMeter(folder = '/sys/class/powercap'): EnergyMeter | null {
  const packages = packagesIn(folder);
  if (packages.length === 0) return null;
  return () => packages.reduce((sum, read) => sum + read(), 0);
}

/** One meter for each package whose counter can be read. */
function packagesIn(folder: string): EnergyMeter[] {
  try {
    return readdirSync(folder)
      .filter((name) => /^intel-rapl:\d+$/.test(name)) // AMD's have this name too; parts of a package, one number more
      .map((name) => counter(join(folder, name)));
  } catch {
    return [];
  }
}

function counter(folder: string): EnergyMeter {
  const read = (file: string) => Number(readFileSync(join(folder, file), 'utf8'));
  const range = read('max_energy_range_uj');
  let before = read('energy_uj');
  return () => {
    const now = read('energy_uj');
    const microjoules = now >= before ? now - before : now + range - before; // it begins anew at its range
    before = now;
    return microjoules / 1e6;
  };
}
