import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { lockAddress, lockFolder } from './folder-lock.js';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bench-'));
});

afterEach(() => rm(folder, { recursive: true, force: true }));

it('is held by one at a time, under any name of the folder', async () => {
  const release = await lockFolder(folder);
  await expect(lockFolder(join(folder, '..', folder.split('/').at(-1) as string))).rejects.toMatchObject({
    code: 'UNDER_WAY',
    message: expect.stringContaining('Another process'),
  });
  await release();
  await (await lockFolder(folder))();
});

it('is free at once when its holder was killed', async () => {
  const address = await lockAddress(folder);
  const holder = spawn(process.execPath, [
    '-e',
    `require('net').createServer().listen(${JSON.stringify(address)}, () => console.log('held'))`,
  ]);
  await new Promise((resolve) => holder.stdout.once('data', resolve));
  await expect(lockFolder(folder)).rejects.toMatchObject({ code: 'UNDER_WAY' });
  const next = lockFolder(folder, 60_000);
  holder.kill('SIGKILL');
  await (await next)();
});

it('makes the folder, and those above it', async () => {
  const release = await lockFolder(join(folder, 'a', 'b', 'c'));
  await release();
  await writeFile(join(folder, 'file'), '');
  await expect(lockFolder(join(folder, 'file', 'x'))).rejects.toMatchObject({ code: 'WRITE_FAILED' });
  await expect(lockFolder(join(folder, 'file'))).rejects.toMatchObject({ code: 'WRITE_FAILED' });
});

it.skipIf(process.platform !== 'linux')('refuses a place where the system allows no folder', async () => {
  await expect(lockFolder('/proc/here/there')).rejects.toMatchObject({ code: 'WRITE_FAILED' });
});
