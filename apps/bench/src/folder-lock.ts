/**
 * Keeps two processes from writing to one folder: a race's, and each run's. The lock is a socket that its holder listens
 * on: it ends with the process, however that ends, so nothing is left over after a kill.
 */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, realpath, rm, stat } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, isAbsolute, join, resolve } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { StateError } from '@ghl/core';
import { onDisk } from './durable.js';

/**
 * Takes the lock of a folder, which is made if need be.
 *
 * @param patience For how many milliseconds to wait for another holder to go.
 * @returns A function that lets it go.
 * @throws StateError `UNDER_WAY`; `NOT_WRITABLE` and others of `onDisk`.
 */
export async function lockFolder(folder: string, patience = 0): Promise<() => Promise<void>> {
  await onDisk(folder, () => makeFolder(folder));
  const address = await lockAddress(folder);
  const until = performance.now() + patience;
  while (await answers(address)) {
    if (performance.now() >= until) {
      throw new StateError('UNDER_WAY', `Another process is at work in ${folder}.`, {
        help: 'wait for it, or stop it first.',
      });
    }
    await setTimeout(100);
  }
  if (isAbsolute(address)) await rm(address, { force: true }).catch(() => {});
  const server = createServer((socket) => socket.destroy());
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(address, resolve);
  });
  server.unref();
  return () => new Promise((resolve) => server.close(() => resolve()));
}

/** As `mkdir` with `recursive`, which never comes back where the system allows no folder, as in /proc. */
async function makeFolder(folder: string): Promise<void> {
  const parent = dirname(resolve(folder));
  try {
    await mkdir(folder);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST' && (await stat(folder)).isDirectory()) return;
    if (code !== 'ENOENT' || existsSync(parent)) throw error;
    await makeFolder(parent);
    await mkdir(folder);
  }
}

/**
 * Where the holder of a folder's lock listens: a name that the system forgets with the process, where it has such names.
 * It is a hash, since a socket's name has no room for the path of any folder.
 */
export async function lockAddress(folder: string): Promise<string> {
  const hash = createHash('sha256').update(await realpath(folder));
  const name = `ghl-bench-${hash.digest('hex').slice(0, 16)}`;
  if (process.platform === 'linux') return `\0${name}`;
  return process.platform === 'win32' ? `\\\\.\\pipe\\${name}` : join(tmpdir(), name);
}

function answers(address: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(address);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
