import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { glyphs } from '@ghl/datasets';
import { assignmentOf, buildNetwork, train } from '@ghl/race';
import * as tf from '@tensorflow/tfjs-core';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { RunFolder } from '../files/run-folder.js';
import { activateBackend, checkBackend } from './backends.js';
import { clock } from './clock.js';

const NETWORK = 'fasthebb-small';

let race: string;
beforeEach(async () => {
  race = await mkdtemp(join(tmpdir(), 'bench-'));
});
afterEach(() => rm(race, { recursive: true, force: true }));

/** The mean loss of one epoch of two steps. */
async function lossOn(backend: string): Promise<number> {
  const active = await activateBackend(backend, { threads: 1 });
  expect(tf.getBackend()).toBe(active.name);
  const data = await glyphs({ trainSize: 8, validationSize: 4, testSize: 4 });
  const model = buildNetwork(NETWORK, data, 0);
  const assignment = assignmentOf({ name: 'ghl' }, NETWORK, 2);
  const folder = new RunFolder(race, backend, 0);
  const phases = [{ assignment, epochs: 1, batch: 4 }] as const;
  await train({ model, phases, data, seed: 0, record: folder, clock, backend });
  model.dispose();
  const epoch = (await folder.readEvents()).find((event) => event.type === 'epoch');
  return epoch?.type === 'epoch' ? (epoch.train?.loss ?? Number.NaN) : Number.NaN;
}

it('trains to the same loss on every backend', async () => {
  const losses: number[] = [];
  for (const name of ['wasm', 'cpu']) losses.push(await lossOn(name));
  const [first, ...others] = losses as [number, ...number[]];
  expect(others.length).toBeGreaterThan(0);
  for (const other of others) expect(Math.abs(other / first - 1)).toBeLessThan(1e-4);
});

it('rejects an unknown backend, and suggests the nearest', async () => {
  await expect(checkBackend('wams')).rejects.toMatchObject({
    code: 'UNKNOWN_BACKEND',
    help: expect.stringContaining("did you mean 'wasm'"),
  });
});
