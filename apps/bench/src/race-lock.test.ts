import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { lockAddress, lockRace } from './race-lock.js';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bench-'));
});

afterEach(() => rm(folder, { recursive: true, force: true }));

it('is held by one at a time, under any name of the folder', async () => {
  const release = await lockRace(folder);
  await expect(lockRace(join(folder, '..', folder.split('/').at(-1) as string))).rejects.toMatchObject({
    code: 'RACE_UNDER_WAY',
    message: expect.stringContaining('Another process'),
  });
  await release();
  await (await lockRace(folder))();
});

it('is free at once when its holder was killed', async () => {
  const address = await lockAddress(folder);
  const holder = spawn(process.execPath, [
    '-e',
    `require('net').createServer().listen(${JSON.stringify(address)}, () => console.log('held'))`,
  ]);
  await new Promise((resolve) => holder.stdout.once('data', resolve));
  await expect(lockRace(folder)).rejects.toMatchObject({ code: 'RACE_UNDER_WAY' });
  const gone = new Promise((resolve) => holder.once('close', resolve));
  holder.kill('SIGKILL');
  await gone;
  await (await lockRace(folder))();
});
