import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { energyMeter } from './energy.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'rapl-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function counter(name: string, microjoules: number): Promise<void> {
  await mkdir(join(folder, name), { recursive: true });
  await writeFile(join(folder, name, 'max_energy_range_uj'), '10000000\n');
  await writeFile(join(folder, name, 'energy_uj'), `${microjoules}\n`);
}

it('adds up what packages took, their parts not counted twice, past the end of a counter', async () => {
  await counter('intel-rapl:0', 1_000_000);
  await counter('intel-rapl:1', 9_000_000);
  await counter('intel-rapl:0:0', 0);
  const meter = energyMeter(folder);
  expect(meter?.()).toBe(0);
  await counter('intel-rapl:0', 3_500_000);
  await counter('intel-rapl:1', 1_000_000);
  await counter('intel-rapl:0:0', 5_000_000);
  expect(meter?.()).toBe(2.5 + 2);
  expect(meter?.()).toBe(0);
});

it('is not there where nothing is told', async () => {
  expect(energyMeter(folder)).toBeNull();
  expect(energyMeter(join(folder, 'nowhere'))).toBeNull();
});
